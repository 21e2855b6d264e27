//! The most frequent words with a prefix.

use floret_sdk::index::Hit;
use fst::raw::{CompiledAddr, Fst};

use crate::{frequency, word};

/// The `limit` words with the greatest frequencies, ties by bytes.
///
/// Best-first: a candidate's bound is the exact least value (greatest frequency) below it, since a transducer
/// sums the least outputs first. The best candidate is taken, its path of zero outputs followed in the order of
/// bytes, which gives the words of just that value, and what branches off with a greater one becomes a
/// candidate, unless `limit` better ones are known. So about `limit` paths are walked, however many words there
/// are.
pub fn search(fst: &Fst<Vec<u8>>, prefix: &[u8], limit: usize) -> Vec<Hit> {
    let Some((address, bound)) = descend(fst, prefix) else {
        return Vec::new();
    };
    if limit == 0 || fst.is_empty() {
        return Vec::new();
    }
    let mut search =
        Search { fst, limit, hits: Vec::new(), heap: Vec::new(), keys: Vec::new(), bounds: Vec::new() };
    search.push(bound, prefix, Some(address));
    let mut key = Vec::new();
    while search.hits.len() < limit {
        let Some(best) = search.pop() else { break };
        key.clear();
        key.extend_from_slice(&search.keys[best.start as usize..][..best.len as usize]);
        match best.address {
            Some(address) => search.expand(address, &mut key, best.bound),
            None => search.emit(&key, best.bound),
        }
    }
    search.hits
}

/// Where a prefix leads, and the outputs summed up on the way.
fn descend(fst: &Fst<Vec<u8>>, prefix: &[u8]) -> Option<(CompiledAddr, u64)> {
    let mut node = fst.root();
    let mut bound = 0;
    for byte in prefix {
        let transition = node.transition(node.find_input(*byte)?);
        bound += transition.out.value();
        node = fst.node(transition.addr);
    }
    Some((node.addr(), bound))
}

struct Search<'a> {
    fst: &'a Fst<Vec<u8>>,
    limit: usize,
    hits: Vec<Hit>,
    /// Binary heap, best first.
    heap: Vec<Candidate>,
    /// The bytes of the candidates' paths.
    keys: Vec<u8>,
    /// Binary heap, greatest first, of the `limit` least bounds ever pushed: each stands for a word of its own.
    bounds: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Candidate {
    bound: u64,
    start: u32,
    len: u32,
    /// The node; none for a word that ends here with more output than its path.
    address: Option<CompiledAddr>,
}

impl Search<'_> {
    /// Give out the words of exactly `bound` below a node and push the rest.
    fn expand(&mut self, address: CompiledAddr, key: &mut Vec<u8>, bound: u64) {
        let node = self.fst.node(address);
        if node.is_final() {
            match node.final_output().value() {
                0 => self.emit(key, bound),
                more => self.push(bound + more, key, None),
            }
        }
        for transition in node.transitions() {
            if self.hits.len() == self.limit {
                return;
            }
            key.push(transition.inp);
            match transition.out.value() {
                0 => self.expand(transition.addr, key, bound),
                more => self.push(bound + more, key, Some(transition.addr)),
            }
            key.pop();
        }
    }

    fn emit(&mut self, key: &[u8], value: u64) {
        if self.hits.len() < self.limit {
            let frequency = frequency(value);
            self.hits.push(Hit { word: word(key), frequency, distance: 0, score: frequency as f32 });
        }
    }

    /// Add a candidate, unless `limit` words are known to be better.
    fn push(&mut self, bound: u64, key: &[u8], address: Option<CompiledAddr>) {
        if self.bounds.len() == self.limit {
            if bound > self.bounds[0] {
                return;
            }
            self.bounds[0] = bound;
            sift_down(&mut self.bounds, |left, right| left > right);
        } else {
            self.bounds.push(bound);
            sift_up(&mut self.bounds, |left, right| left > right);
        }
        let start = self.keys.len() as u32;
        self.keys.extend_from_slice(key);
        self.heap.push(Candidate { bound, start, len: key.len() as u32, address });
        sift_up(&mut self.heap, |left, right| is_better(&self.keys, left, right));
    }

    fn pop(&mut self) -> Option<Candidate> {
        if self.heap.is_empty() {
            return None;
        }
        let best = self.heap.swap_remove(0);
        sift_down(&mut self.heap, |left, right| is_better(&self.keys, left, right));
        Some(best)
    }
}

/// Candidates of one bound are taken in the order of their bytes. A path that begins with another one is of a
/// greater bound or is that one's own end, so whole subtrees are ordered too.
fn is_better(keys: &[u8], left: &Candidate, right: &Candidate) -> bool {
    let key = |candidate: &Candidate| &keys[candidate.start as usize..][..candidate.len as usize];
    left.bound < right.bound || (left.bound == right.bound && key(left) < key(right))
}

fn sift_up<T>(heap: &mut [T], is_before: impl Fn(&T, &T) -> bool) {
    let mut at = heap.len() - 1;
    while at > 0 && is_before(&heap[at], &heap[(at - 1) / 2]) {
        heap.swap(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

fn sift_down<T>(heap: &mut [T], is_before: impl Fn(&T, &T) -> bool) {
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child + 1 < heap.len() && is_before(&heap[child + 1], &heap[child]) {
            child += 1;
        }
        if child >= heap.len() || !is_before(&heap[child], &heap[at]) {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}
