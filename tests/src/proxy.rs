//! A TCP proxy in front of a server, which makes the network fail as a test wants it to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes forwarded at once.
const PIECE_BYTES: usize = 64 << 10;

/// What the network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// It works.
    Works,
    /// Each piece takes so much longer, either way.
    Slow(Duration),
    /// Connections are accepted, and nothing comes through, either way. What is held comes through once it works again.
    Silent,
    /// Requests come through; a connection ends when its first answer should.
    LosesAnswers,
    /// Connections end at once.
    Refuses,
}

/// A proxy. Dropped, it ends, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    network: Network,
    /// Both ends of every connection, also of those that ended.
    ends: Vec<TcpStream>,
    accepted: usize,
    over: bool,
}

impl Proxy {
    /// In front of a server; the network works.
    ///
    /// # Panics
    /// If the system gives no port.
    pub fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let state = State { network: Network::Works, ends: Vec::new(), accepted: 0, over: false };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || serving.serve(&listener));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the network is so, for connections that are open too.
    pub fn set(&self, network: Network) {
        self.shared.state().network = network;
        self.shared.changed.notify_all();
    }

    /// End all connections that are open. New ones are served as the network is.
    pub fn cut(&self) {
        cut(&mut self.shared.state().ends);
    }

    /// Connections that were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.state().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.over = true;
        cut(&mut state.ends);
        drop(state);
        self.shared.changed.notify_all();
        // So that the thread which accepts looks around once more.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of it panics")
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let mut state = self.state();
            if state.over {
                return;
            }
            state.accepted += 1;
            if state.network == Network::Refuses {
                continue;
            }
            let Ok(server) = TcpStream::connect(self.target) else { continue };
            let Ok(ends) = copies(&client, &server) else { continue };
            state.ends.extend(ends);
            drop(state);
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let (Ok(from_client), Ok(to_client)) = (client.try_clone(), client.try_clone()) else { continue };
            let (Ok(from_server), Ok(to_server)) = (server.try_clone(), server.try_clone()) else { continue };
            let (requests, answers) = (Arc::clone(self), Arc::clone(self));
            std::thread::spawn(move || requests.forward(from_client, to_server, false));
            std::thread::spawn(move || answers.forward(from_server, to_client, true));
        }
    }

    /// Until one side ends; then the other ends too.
    fn forward(&self, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if !self.lets_through(answers) || to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits as the network does; whether the piece goes on.
    fn lets_through(&self, answer: bool) -> bool {
        let state = self.state();
        let silent = |state: &mut State| state.network == Network::Silent && !state.over;
        let state = self.changed.wait_while(state, silent).expect("no holder of it panics");
        let network = state.network;
        drop(state);
        match network {
            Network::Works | Network::Silent => true,
            Network::Slow(longer) => {
                std::thread::sleep(longer);
                true
            }
            Network::LosesAnswers => !answer,
            Network::Refuses => false,
        }
    }
}

fn copies(client: &TcpStream, server: &TcpStream) -> std::io::Result<[TcpStream; 2]> {
    Ok([client.try_clone()?, server.try_clone()?])
}

fn cut(ends: &mut Vec<TcpStream>) {
    for end in ends.drain(..) {
        // One that has ended already is no matter.
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with itself, once for each connection.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    fn ask(stream: &mut TcpStream, byte: u8) -> Option<u8> {
        stream.write_all(&[byte]).ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).ok()?;
        Some(answer[0])
    }

    #[test]
    fn the_network_is_as_it_is_set() {
        let proxy = Proxy::before(echo());
        let connect = || TcpStream::connect(proxy.address()).expect("it accepts");
        let mut one = connect();
        assert_eq!(ask(&mut one, 1), Some(1));
        proxy.set(Network::Slow(Duration::from_millis(1)));
        assert_eq!(ask(&mut one, 2), Some(2));
        proxy.cut();
        assert_eq!(ask(&mut one, 3), None, "cut");
        proxy.set(Network::Refuses);
        assert_eq!(ask(&mut connect(), 4), None, "refused");
        proxy.set(Network::LosesAnswers);
        assert_eq!(ask(&mut connect(), 5), None, "its answer is lost");
        proxy.set(Network::Silent);
        let mut held = connect();
        held.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
        assert_eq!(ask(&mut held, 6), None, "nothing comes");
        held.set_read_timeout(None).expect("none");
        proxy.set(Network::Works);
        let mut answer = [0];
        held.read_exact(&mut answer).expect("what was held comes");
        assert_eq!((answer[0], ask(&mut held, 7), proxy.accepted()), (6, Some(7), 4));
    }
}
