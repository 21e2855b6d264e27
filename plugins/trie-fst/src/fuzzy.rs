//! Words within an edit distance.

use floret_sdk::index::Hit;
use fst::raw::{CompiledAddr, Fst};
use levenshtein_automata::{DFA, Distance, SINK_STATE};

use crate::{frequency, word};

/// The `limit` best words that the automaton accepts: by distance, then frequency descending, then bytes.
pub fn search(fst: &Fst<Vec<u8>>, automaton: &DFA, limit: usize) -> Vec<Hit> {
    let mut walk = Walk { fst, automaton, key: Vec::new(), keys: Vec::new(), found: Vec::new() };
    walk.visit(fst.root().addr(), automaton.initial_state(), 0);
    let Walk { keys, mut found, .. } = walk;
    let key = |found: &Found| &keys[found.start as usize..][..found.len as usize];
    let rank = |left: &Found, right: &Found| {
        (left.distance, left.value)
            .cmp(&(right.distance, right.value))
            .then_with(|| key(left).cmp(key(right)))
    };
    if found.len() > limit && limit > 0 {
        found.select_nth_unstable_by(limit - 1, rank);
    }
    found.truncate(limit);
    found.sort_unstable_by(rank);
    let hit = |found: &Found| Hit {
        word: word(key(found)),
        frequency: frequency(found.value),
        distance: found.distance,
        score: 1.0 / (1.0 + f32::from(found.distance)),
    };
    found.iter().map(hit).collect()
}

struct Walk<'a> {
    fst: &'a Fst<Vec<u8>>,
    automaton: &'a DFA,
    key: Vec<u8>,
    /// The bytes of what was found.
    keys: Vec<u8>,
    found: Vec<Found>,
}

struct Found {
    distance: u8,
    /// A lower one is a greater frequency.
    value: u64,
    start: u32,
    len: u32,
}

impl Walk<'_> {
    /// Walk transducer and automaton together; as deep as the longest word.
    fn visit(&mut self, address: CompiledAddr, state: u32, value: u64) {
        let node = self.fst.node(address);
        if node.is_final()
            && let Distance::Exact(distance) = self.automaton.distance(state)
        {
            let (start, len) = (self.keys.len() as u32, self.key.len() as u32);
            self.keys.extend_from_slice(&self.key);
            self.found.push(Found { distance, value: value + node.final_output().value(), start, len });
        }
        for transition in node.transitions() {
            let next = self.automaton.transition(state, transition.inp);
            if next != SINK_STATE {
                self.key.push(transition.inp);
                self.visit(transition.addr, next, value + transition.out.value());
                self.key.pop();
            }
        }
    }
}
