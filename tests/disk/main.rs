//! What every medium does: one set of tests over the real filesystem and over the simulated one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod attributes;
mod crash;
mod files;
mod names;
mod real_only;

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use holofs::store::disk::{Access, Dir, File, open_root, read_exact_at};
use rustix::io::Errno;

pub(crate) fn os(name: &str) -> &OsStr {
    OsStr::new(name)
}

pub(crate) fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("it must fail").kind()
}

pub(crate) fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    let raw = result.err().expect("it must fail").raw_os_error();
    raw.map(Errno::from_raw_os_error)
}

/// A new file with this content.
pub(crate) fn put(dir: &dyn Dir, name: &str, content: &[u8]) -> Arc<dyn File> {
    let file = dir.create(os(name), 0o644, 0).unwrap();
    file.write_at(content, 0).unwrap();
    file
}

pub(crate) fn content(file: &dyn File) -> Vec<u8> {
    let mut all = vec![0; file.meta().unwrap().size as usize];
    read_exact_at(file, &mut all, 0).unwrap();
    all
}

pub(crate) fn get(dir: &dyn Dir, name: &str) -> Vec<u8> {
    content(&*dir.open(os(name), Access::Read).unwrap())
}

pub(crate) fn make_dir(dir: &dyn Dir, name: &str) -> Arc<dyn Dir> {
    dir.make_dir(os(name), 0o755, 0).unwrap();
    dir.dir(os(name)).unwrap()
}

pub(crate) fn names(dir: &dyn Dir) -> Vec<String> {
    let list = dir.list().unwrap();
    let mut names: Vec<_> = list
        .into_iter()
        .map(|l| l.name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes a test of each of these functions on each medium.
macro_rules! on_every_medium {
    ($($room:ident: $($name:ident)*;)*) => {
        mod real {
            $($(#[test] fn $name() {
                let place = tempfile::tempdir().unwrap();
                let root = super::open_root(place.path()).unwrap();
                super::$room::$name(&*root);
            })*)*
        }
        mod simulated {
            $($(#[test] fn $name() {
                let disk = super::support::crash_disk::CrashDisk::new();
                super::$room::$name(&*disk.root());
            })*)*
        }
    };
}

on_every_medium! {
    files: reads_and_writes_at_any_offset
        appends_at_the_end_of_the_moment
        threads_append_without_losing_anything
        sizes_grow_with_zeros_and_shrink
        holes_are_found
        allocation_reserves_punches_and_zeroes
        ranges_are_copied files_are_opened_again_without_their_name;
    names: only_regular_files_are_opened
        creating_never_replaces
        nodes_have_their_kind
        names_are_single_components
        directories_are_opened_and_never_through_links
        links_share_one_inode
        unlinked_files_live_while_open
        removing_tells_files_from_directories
        renames_replace_files_of_the_same_sort
        renames_keep_files_and_directories_apart
        exchanges_swap_any_two_names
        only_directories_of_the_same_medium_meet
        changes_of_names_move_the_directory_times;
    attributes: the_umask_takes_bits_away
        each_thread_has_its_own_umask
        modes_are_set_but_not_through_links
        owners_are_set_on_links_themselves
        times_are_set_on_links_themselves
        changes_move_the_change_time
        reading_leaves_the_access_time
        extended_attributes_are_kept
        long_attributes_are_read_whole
        attributes_are_never_reached_through_links
        leases_and_writers_exclude_each_other
        space_is_told;
}
