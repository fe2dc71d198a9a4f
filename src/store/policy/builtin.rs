//! What the policy says where the file says nothing: limits of size and the files that stay plain.

/// Files below this many bytes stay plain.
pub(super) const MIN_SIZE: u64 = 4 << 10;

/// Files over this many bytes stay plain.
pub(super) const MAX_SIZE: u64 = 16 << 30;

/// What a file is taken for, and the globs that say so: programs write into these in place, so that each encoding
/// would soon be undone.
pub(super) const PLAIN: &[(&str, &[&str])] = &[
    (
        "a database or its journal",
        &[
            "*.{sqlite,sqlite3,db,db3,s3db,sl3}",
            "*.{sqlite,sqlite3,db,db3,s3db,sl3}-{wal,shm,journal}",
            "*.{mdb,ldb,accdb,bdb,fdb,dbf,ndf,mdf,ldf,ibd,myd,myi}",
            "ibdata*",
            "ib_logfile*",
            "**/pg_wal/**",
        ],
    ),
    (
        "a disk image in use",
        &["*.{qcow,qcow2,qed,vdi,vmdk,vhd,vhdx,avhdx,hdd}"],
    ),
    ("an index of git", &["**/.git/index"]),
];
