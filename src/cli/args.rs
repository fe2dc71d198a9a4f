//! The arguments of every verb: the one definition that help, man pages and completions come from.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::hologram::Profile;

/// A filesystem that keeps files as chunk sets: losing part of the store costs sharpness before it costs files.
#[derive(Debug, Parser)]
#[command(
    name = "holofs",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// How to speak.
    #[command(flatten)]
    pub(super) speech: Speech,
}

/// Codecs, as the policy names them.
const CODECS: [&str; 8] = [
    "auto", "plain", "stored", "image", "jpeg", "audio", "video", "template",
];

const EXIT_CODES: &str = "Exit codes:
  0  done                              6  data lost
  1  error                            10  no store here, or nothing there
  2  usage                            11  locked by another process
  3  done, with some files skipped    12  made by a newer version
  4  damage, fully recoverable       130  interrupted
  5  some files at reduced quality only
grep exits with 1 where nothing was found, diff where something differs.";

/// Options of every verb.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Speech {
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more; twice for the log
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Colour,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a directory a store; files that are in it stay
    Init(Init),
    /// Show a store as an ordinary filesystem
    Mount(Mount),
    /// Unmount and wait until the daemon has ended
    Umount(Umount),
    /// Encode now whatever waits to be encoded
    Settle(Settle),
    /// Tell how files are kept and whether all of them is there
    Status(Status),
    /// Tell why a file is kept as it is
    Why(Why),
    /// List names
    Ls(Ls),
    /// Describe what is stored of a file, or draw it
    Show(Show),
    /// Write files to standard output
    Cat(Cat),
    /// Find lines in files
    Grep(Grep),
    /// Count lines, words and bytes of files
    Wc(Wc),
    /// Show how two files or directories differ
    Diff(Diff),
    /// Copy files into a store that is not mounted
    Import(Import),
    /// Copy files out of a store
    Export(Export),
    /// Encode files anew with another codec, profile or layout
    Convert(Convert),
    /// Make, list and remove dictionaries that files share
    Dict(Dict),
    /// Give a file another content in some context, list and remove such variants
    Variant(Variant),
    /// Check every stored unit and name damaged files
    Scrub(Scrub),
    /// Write a picture or sound as it is when only some of its chunks are left
    Degrade(Degrade),
    /// Average pictures of one scene into one with less noise
    Stack(Stack),
    /// Check what holofs needs of this machine, and a store's general health
    Doctor(Doctor),
    /// Print completions for a shell
    Completions(Completions),
    /// Write man pages into a directory
    Man(Man),
}

/// `init`
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Directory; made if it is not there
    pub(super) store: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `mount`
#[derive(Debug, Args)]
#[command(after_long_help = VIEWS)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Mount {
    /// Directory of the store
    pub(super) store: PathBuf,
    /// Where to mount it: an empty directory
    pub(super) mnt: PathBuf,
    /// Mount options, comma-separated
    #[arg(short, value_name = "OPTIONS")]
    pub(super) options: Vec<OsString>,
    /// Stay in the foreground, log to standard error
    #[arg(short, long)]
    pub(super) foreground: bool,
    /// This process is the daemon; its command line names canonical paths
    #[arg(long, hide = true)]
    pub(super) serve: bool,
    /// Leave out options that nobody knows, as mount(8) -s asks
    #[arg(long, hide = true)]
    pub(super) sloppy: bool,
    /// Check everything but do not mount, as mount(8) -f asks
    #[arg(long, hide = true)]
    pub(super) fake: bool,
}

const VIEWS: &str = "\
The hidden directory .holofs/view/K in the mount point, with K from 1 to 255, shows the whole tree
read-only as a copy with the first K chunks of each set would: plain files as they are, pictures at
the quality that is left, an error for what needs more chunks. The extended attribute
user.holofs.preview of an encoded picture or film is a small PNG of it, of sound a waveform;
.holofs/stats.json counts what was read, written, encoded and shown at reduced quality.";

/// `umount`
#[derive(Debug, Args)]
pub(super) struct Umount {
    /// Mount point
    pub(super) mnt: PathBuf,
    /// Take it out of the tree now and end when nobody uses it any more
    #[arg(short, long)]
    pub(super) lazy: bool,
}

/// `settle`
#[derive(Debug, Args)]
pub(super) struct Settle {
    /// Mount point, or store
    #[arg(value_name = "MNT|STORE")]
    pub(super) path: PathBuf,
    /// Only name the files that wait
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `status`
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Paths in a mount or in a store; directories with all that is in them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
}

/// `why`
#[derive(Debug, Args)]
pub(super) struct Why {
    /// File in a mount or in a store
    pub(super) file: PathBuf,
}

/// `ls`
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// Directory or file in a store
    #[arg(value_name = "STORE[/PATH]")]
    pub(super) path: PathBuf,
    /// With mode, owner, size and time
    #[arg(short)]
    pub(super) long: bool,
}

/// `show`
#[derive(Debug, Args)]
#[command(after_long_help = SHOWING)]
pub(super) struct Show {
    /// File in a mount or in a store
    pub(super) file: PathBuf,
    /// Also write a picture of what is left of it: the waveform of a sound, a small picture of others
    #[arg(long, value_name = "OUT")]
    pub(super) png: Option<PathBuf>,
    /// Replace OUT if it is there
    #[arg(long, visible_alias = "force", requires = "png")]
    pub(super) overwrite: bool,
}

const SHOWING: &str = "\
A waveform has a band for each channel, light from the least to the greatest sample of a column and
dark as far as the root of their mean square, and marks for time below. It is blue where the sound is
what was stored, amber where it is softer, with a pale margin of the usual error; what cannot be read
at all is hatched in red. Sounds over 256 MiB are drawn from their first layer, those longer than an
hour or so from parts of it, equally far from each other.";

/// `cat`
#[derive(Debug, Args)]
pub(super) struct Cat {
    /// Files in a store
    #[arg(required = true, value_name = "STORE/PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Also write what can be had only at reduced quality
    #[arg(long)]
    pub(super) allow_degraded: bool,
}

/// `grep`
#[derive(Debug, Args)]
#[command(after_long_help = FINDING)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Grep {
    /// Regular expression
    pub(super) pattern: String,
    /// Files in a store; directories with all that is in them
    #[arg(required = true, value_name = "STORE[/PATH]")]
    pub(super) paths: Vec<PathBuf>,
    /// Take small and capital letters for the same
    #[arg(short, long)]
    pub(super) ignore_case: bool,
    /// Only name the files with lines that match
    #[arg(short = 'l', long)]
    pub(super) files_with_matches: bool,
    /// Only count the lines that match
    #[arg(short, long, conflicts_with = "files_with_matches")]
    pub(super) count: bool,
    /// Print the number of each line
    #[arg(short = 'n', long)]
    pub(super) line_number: bool,
}

const FINDING: &str = "\
PATTERN is in the syntax of Rust's regex crate: as grep -E has it, with \\d, \\w, \\s and (?i), without
back references. Files are UTF-8 or anything else; \\b knows the letters of ASCII only. A file with a
NUL in its first 32 KiB, or before the end of a line that matches, is no text: only that it matches is
printed. Of a line over 64 KiB the beginning is printed. What cannot be read exactly is named and left
out. Exit code 0: something was found; 1: nothing.";

/// `wc`
#[derive(Debug, Args)]
#[command(after_long_help = COUNTING)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Wc {
    /// Files in a store
    #[arg(required = true, value_name = "STORE/PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Count lines: bytes that end one
    #[arg(short, long)]
    pub(super) lines: bool,
    /// Count words: what is between white space
    #[arg(short, long)]
    pub(super) words: bool,
    /// Count characters of UTF-8
    #[arg(short = 'm', long)]
    pub(super) chars: bool,
    /// Count bytes
    #[arg(short = 'c', long)]
    pub(super) bytes: bool,
}

const COUNTING: &str = "\
Without options lines, words and bytes are counted. White space is that of ASCII, as in the C locale.";

/// `diff`
#[derive(Debug, Args)]
#[command(after_long_help = COMPARING)]
pub(super) struct Diff {
    /// File or directory in a store
    #[arg(value_name = "STORE/A")]
    pub(super) a: PathBuf,
    /// File or directory in that or another store
    #[arg(value_name = "STORE/B")]
    pub(super) b: PathBuf,
}

const COMPARING: &str = "\
Of text files the lines that differ are printed as a unified diff, which patch(1) takes; of others that
they differ, with -v or --json also from which byte on. Of directories the files are named that differ
or are in one of them only. Encoded files are the same when their hashes are: they are not read.
Exit code 0: they are the same; 1: they differ.";

/// `import`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Import {
    /// Files and directories to copy; `DIR/.` copies what is in it
    #[arg(required = true, value_name = "SRC")]
    pub(super) sources: Vec<PathBuf>,
    /// Store, or a directory in it; made if it is not there
    #[arg(value_name = "STORE[/DIR]")]
    pub(super) to: PathBuf,
    /// Replace files that are there instead of skipping them
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Also take what another program's chunks give at reduced quality only
    #[arg(long)]
    pub(super) allow_degraded: bool,
    /// Clip loud samples of Holo.Codec's sounds as Holo.Codec does, instead of undoing how it wraps them
    #[arg(long)]
    pub(super) compat_clip: bool,
    /// Leave the encoding to the next mount or settle
    #[arg(long)]
    pub(super) no_settle: bool,
    /// Only name what would be copied
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `export`
#[derive(Debug, Args)]
#[command(after_long_help = EXPORTING)]
pub(super) struct Export {
    /// Directory or file in a store
    #[arg(value_name = "STORE[/PATH]")]
    pub(super) path: PathBuf,
    /// Directory that takes what is in PATH, or name of the file
    pub(super) dst: PathBuf,
    /// Write regular files in another program's format, with .holo after their names
    #[arg(long, value_parser = PossibleValuesParser::new(["sealgate"]))]
    pub(super) format: Option<String>,
    /// Replace files that are there instead of skipping them
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Also copy what can be had only at reduced quality
    #[arg(long)]
    pub(super) allow_degraded: bool,
    /// Only name what would be copied
    #[arg(long)]
    pub(super) dry_run: bool,
}

const EXPORTING: &str = "\
A template of SealGate (--format sealgate) keeps a file as chunks of 64 bytes, rules for pairs of
them and a sequence. It is read back and compared before it gets its name. A file may have 256 MiB,
and its text, which is 2.8 times as long as what does not repeat itself, 64 MiB. A single file is
called DST, whatever that is; import takes the file out of what is called NAME.holo, and a mount
shows it as NAME.";

/// `convert`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(true))]
pub(super) struct Convert {
    /// Files in a mount or in a store; directories with all that is in them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Codec
    #[arg(long, group = "target", value_parser = PossibleValuesParser::new(CODECS))]
    pub(super) codec: Option<String>,
    /// Protection: none, light, standard, strong, or K/N
    #[arg(long, group = "target", value_parser = profile)]
    pub(super) profile: Option<String>,
    /// One file, or a directory with one file for each chunk
    #[arg(long, group = "target", value_parser = PossibleValuesParser::new(["auto", "packed", "spread"]))]
    pub(super) layout: Option<String>,
    /// Keep each directory, with all that is in it, as one object, until something in it is changed
    #[arg(long, group = "target", conflicts_with_all = ["codec", "profile", "layout"])]
    pub(super) solid: bool,
    /// Only name the files
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `dict`
#[derive(Debug, Args)]
pub(super) struct Dict {
    #[command(subcommand)]
    pub(super) what: DictVerb,
}

/// What to do with dictionaries.
#[derive(Debug, Subcommand)]
pub(super) enum DictVerb {
    /// Make dictionaries of samples: one for each owner, and others for files that everybody may read
    Build {
        /// Files in a mount or in a store; directories with all that is in them
        #[arg(required = true, value_name = "SAMPLE")]
        samples: Vec<PathBuf>,
    },
    /// List dictionaries, and how many files need each
    List {
        /// Store or mount point
        #[arg(value_name = "STORE|MNT")]
        store: PathBuf,
    },
    /// Remove dictionaries that no file needs and that are older than a day
    Gc {
        /// Store or mount point
        #[arg(value_name = "STORE|MNT")]
        store: PathBuf,
        /// Only name the dictionaries
        #[arg(long)]
        dry_run: bool,
    },
}

/// `variant`
#[derive(Debug, Args)]
#[command(after_long_help = VARIANTS)]
pub(super) struct Variant {
    #[command(subcommand)]
    pub(super) what: VariantVerb,
}

/// What to do with variants.
#[derive(Debug, Subcommand)]
pub(super) enum VariantVerb {
    /// Have FILE show what OTHER holds in a context; what it shows elsewhere stays
    Add {
        /// File in a mount or in a store
        file: PathBuf,
        /// Name of the context
        #[arg(long, value_name = "NAME")]
        context: String,
        /// Any file
        other: PathBuf,
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List the variants of a file
    List {
        /// File in a mount or in a store
        file: PathBuf,
    },
    /// Have FILE show its default variant in a context
    Remove {
        /// File in a mount or in a store
        file: PathBuf,
        /// Name of the context
        #[arg(long, value_name = "NAME")]
        context: String,
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

const VARIANTS: &str = "\
A mount with -o context=NAME shows the variants of that context, and so does the directory
.holofs/context/NAME of any mount, read-only. A file without one shows its default variant. All of
a file's variants are stored together: what they have in common once.";

/// `scrub`
#[derive(Debug, Args)]
pub(super) struct Scrub {
    /// Store or mount point, or a path in it
    #[arg(value_name = "STORE|MNT")]
    pub(super) path: PathBuf,
}

/// `degrade`
#[derive(Debug, Args)]
#[command(after_long_help = DEGRADING)]
pub(super) struct Degrade {
    /// Picture, film or sound: any file, or one in a store
    pub(super) file: PathBuf,
    /// Chunks that are left
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) keep: u8,
    /// The file to write: of FILE's format and size
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,
    /// Encode FILE into this many chunks; 16 unless the profile says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) of: Option<u8>,
    /// Encode FILE with this protection: none, light, standard, strong, or K/N
    #[arg(long, value_parser = profile)]
    pub(super) profile: Option<String>,
    /// Replace OUT if it is there
    #[arg(long, visible_alias = "force")]
    pub(super) overwrite: bool,
}

const DEGRADING: &str = "\
FILE is encoded in memory, and OUT is what a reader gets of it with K chunks; nothing is stored. A
picture that is encoded in a store is taken as it lies there, with its first K chunks, unless --of
or --profile ask for another encoding. A mount shows the same of a whole store in its directories
.holofs/view/1, .holofs/view/2 and so on, one for each number of chunks.";

/// `stack`
#[derive(Debug, Args)]
#[command(after_long_help = STACKING)]
pub(super) struct Stack {
    /// Pictures of one size: PNG, JPEG or PNM, with 8 or 16 bits a sample
    #[arg(required = true, value_name = "FRAME")]
    pub(super) frames: Vec<PathBuf>,
    /// The PNG file to write
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,
    /// Bits of a sample of OUT; 16 where any frame has 16, else 8, unless this says otherwise
    #[arg(long, value_name = "BITS", value_parser = PossibleValuesParser::new(["8", "16"]))]
    pub(super) depth: Option<String>,
    /// Replace OUT if it is there
    #[arg(long, visible_alias = "force")]
    pub(super) overwrite: bool,
}

const STACKING: &str = "\
Every sample of OUT is the mean of that sample in all frames: an exact sum, rounded once, half up.
With n frames the signal-to-noise ratio is sqrt(n) times that of one, 3 dB whenever the frames
double. 16 bits (--depth 16) keep what 8-bit frames gain. Nothing is aligned: use a tripod. Samples
are averaged as they are in the files, without undoing gamma.";

/// `doctor`
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Store to look at
    pub(super) store: Option<PathBuf>,
}

/// `completions`
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    pub(super) shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Directory; made if it is not there
    pub(super) dir: PathBuf,
}

/// A profile, by name or as `K/N`.
fn profile(text: &str) -> Result<String, String> {
    let known = text == "auto" || text.parse::<Profile>().is_ok();
    let complaint = "neither auto, none, light, standard, strong nor K/N (as 13/16)";
    known
        .then(|| text.to_owned())
        .ok_or_else(|| complaint.to_owned())
}
