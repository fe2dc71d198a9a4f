//! How a verb reaches a store: through the daemon that has it open for writing, else by opening it.

use std::path::Path;
use std::sync::Arc;

use super::exit::Failure;
use super::interrupt;
use super::place::Place;
use super::work::perform;
use crate::store::ctl::{Client, Reply, Request};
use crate::store::outside;
use crate::store::{Degraded, Options, Store};

/// A way to have requests carried out.
#[derive(Debug)]
pub(super) enum Session {
    /// By the daemon.
    Daemon(Client),
    /// By this process.
    Here(Arc<Store>),
}

impl Session {
    /// For requests that change nothing. A read-only mount is asked about as it shows things.
    pub(super) fn reading(place: &Place) -> Result<Self, Failure> {
        let view = view(place);
        if !view.read_only
            && let Some(client) = daemon(place)?
        {
            return Ok(Self::Daemon(client));
        }
        let options = Options {
            read_only: true,
            ..view
        };
        open(place, options).map(Self::Here)
    }

    /// For requests that change the store.
    pub(super) fn writing(place: &Place) -> Result<Self, Failure> {
        if let Some(client) = daemon(place)? {
            return Ok(Self::Daemon(client));
        }
        open(place, Options::default()).map(Self::Here)
    }

    /// Has a request carried out; `each` takes the replies, with paths as the store knows them.
    pub(super) fn ask(
        &mut self,
        place: &Place,
        request: &Request,
        each: &mut dyn FnMut(Reply),
    ) -> Result<(), Failure> {
        let mut go_on = |reply| {
            each(reply);
            !interrupt::seen()
        };
        let done = match self {
            Self::Daemon(client) => client.ask(request, &mut go_on),
            Self::Here(store) => {
                interrupt::tidy();
                perform(store, request, &mut go_on)
            }
        };
        if interrupt::seen() {
            return Err(Failure::interrupted());
        }
        done.map_err(|e| Failure::store(&place.given, &e))
    }

    /// Ends it.
    pub(super) fn close(self, place: &Place) -> Result<(), Failure> {
        match self {
            Self::Daemon(_) => Ok(()),
            Self::Here(store) => close(place, &store),
        }
    }
}

/// The daemon that has the store open for writing.
fn daemon(place: &Place) -> Result<Option<Client>, Failure> {
    let Ok(ours) = outside::ours(&place.store) else {
        return Ok(None); // opening the store says what is wrong
    };
    Client::connect(&*ours).map_err(|e| Failure::io(&place.store, &e))
}

/// Opens the store here.
pub(super) fn open(place: &Place, options: Options) -> Result<Arc<Store>, Failure> {
    Store::open(&place.store, options).map_err(|e| Failure::store(&place.store, &e))
}

/// Closes a store that was opened here.
pub(super) fn close(place: &Place, store: &Store) -> Result<(), Failure> {
    store.close().map_err(|e| Failure::store(&place.store, &e))
}

/// Opens the store to read it here, beside whoever writes, as the mount shows it that the place was given through.
pub(super) fn open_reading(place: &Place) -> Result<Arc<Store>, Failure> {
    let options = Options {
        read_only: true,
        ..view(place)
    };
    open(place, options)
}

/// Opens the store to take content out: what is not exact only where that is asked for.
pub(super) fn open_taking(place: &Place, allow_degraded: bool) -> Result<Arc<Store>, Failure> {
    let degraded = if allow_degraded {
        Degraded::Serve
    } else {
        Degraded::Refuse
    };
    let options = Options {
        read_only: true,
        degraded: Some(degraded),
        ..view(place)
    };
    open(place, options)
}

/// Opens the store to see what the first `chunks` chunks of each set give.
pub(super) fn open_seen(place: &Place, chunks: u16) -> Result<Arc<Store>, Failure> {
    let view = view(place);
    let options = Options {
        read_only: true,
        degraded: Some(Degraded::Serve),
        chunks: Some(view.chunks.map_or(chunks, |most| most.min(chunks))),
        ..view
    };
    open(place, options)
}

/// The options of the mount that a path was given through, from its daemon's command line.
fn view(place: &Place) -> Options {
    let Some(mount) = &place.mount else {
        return Options::default();
    };
    let pids = outside::daemons(&mount.source, &mount.point).unwrap_or_default();
    let args = pids.first().and_then(|&pid| outside::arguments(pid));
    args.map_or_else(Options::default, |args| super::mount::options_of(&args))
}

/// Whether a place is the root of a store or mount.
pub(super) fn is_root(place: &Place) -> bool {
    place.path == Path::new("")
}
