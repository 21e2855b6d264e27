//! Comparing a query with every vector.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::config::Quantization;
use crate::format::Index;
use crate::quantize;
use crate::vector::Vectorizer;

/// The `limit` words nearest to the text, best first, ties in the order of words; only those that have anything
/// in common with it (a cosine above 0).
pub fn nearest(index: &Index, text: &str, limit: usize) -> Vec<(usize, f32)> {
    let header = &index.header;
    let mut vectorizer = Vectorizer::new(header.dimension, header.ngram_min, header.ngram_max);
    let query = vectorizer.vector(text);
    let mut best = Best { limit, heap: BinaryHeap::new(), threshold: 0.0 };
    let rows = index.vectors().chunks_exact(header.vector_bytes()).enumerate();
    match header.quantization {
        Quantization::None => rows.for_each(|(at, row)| best.offer(at, dot_f32(query, row))),
        Quantization::Float16 => rows.for_each(|(at, row)| best.offer(at, dot_f16(query, row))),
        Quantization::Int8 => {
            let (query, query_scale) = quantize::to_query(query);
            rows.for_each(|(at, row)| {
                best.offer(at, dot_i8(&query, row) as f32 * (index.scale(at) * query_scale))
            });
        }
    }
    best.sorted()
}

/// Keeps the best of what is offered in the order of words.
struct Best {
    limit: usize,
    /// The worst on top.
    heap: BinaryHeap<Worst>,
    /// A score must be above this to be kept.
    threshold: f32,
}

#[derive(PartialEq)]
struct Worst {
    score: f32,
    at: usize,
}

impl Eq for Worst {}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.at.cmp(&other.at))
    }
}

impl Best {
    #[inline]
    fn offer(&mut self, at: usize, score: f32) {
        if score > self.threshold {
            self.keep(at, score);
        }
    }

    fn keep(&mut self, at: usize, score: f32) {
        if self.heap.len() == self.limit {
            self.heap.pop();
        }
        self.heap.push(Worst { score, at });
        if self.heap.len() == self.limit {
            self.threshold = self.heap.peek().map_or(f32::INFINITY, |worst| worst.score);
        }
    }

    fn sorted(self) -> Vec<(usize, f32)> {
        // Rounding may lift the cosine of equal vectors a little over 1.
        self.heap.into_sorted_vec().into_iter().map(|worst| (worst.at, worst.score.min(1.0))).collect()
    }
}

/// Lanes of a sum: kept apart, then added in one order, so that every machine and width of SIMD gives the same.
const LANES: usize = 16;

fn dot_f32(query: &[f32], row: &[u8]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (query, row) in query.chunks_exact(LANES).zip(row.chunks_exact(4 * LANES)) {
        for lane in 0..LANES {
            let value =
                f32::from_le_bytes([row[4 * lane], row[4 * lane + 1], row[4 * lane + 2], row[4 * lane + 3]]);
            sums[lane] += query[lane] * value;
        }
    }
    total(&sums)
}

fn dot_f16(query: &[f32], row: &[u8]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (query, row) in query.chunks_exact(LANES).zip(row.chunks_exact(2 * LANES)) {
        for lane in 0..LANES {
            sums[lane] +=
                query[lane] * quantize::from_half(u16::from_le_bytes([row[2 * lane], row[2 * lane + 1]]));
        }
    }
    total(&sums)
}

fn total(sums: &[f32; LANES]) -> f32 {
    sums.iter().sum()
}

/// Exact: 1,024 × 127 × 2,047 stays below 2^31.
#[cfg(not(target_arch = "wasm32"))]
fn dot_i8(query: &[i16], row: &[u8]) -> i32 {
    query.iter().zip(row).map(|(query, value)| i32::from(*query) * i32::from(*value as i8)).sum()
}

/// The same in 128-bit SIMD: sixteen components a step, pairs multiplied and added in one instruction.
#[cfg(target_arch = "wasm32")]
fn dot_i8(query: &[i16], row: &[u8]) -> i32 {
    use core::arch::wasm32::{
        i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane,
        i32x4_splat, v128, v128_load,
    };
    let (mut low, mut high) = (i32x4_splat(0), i32x4_splat(0));
    for (query, row) in query.chunks_exact(16).zip(row.chunks_exact(16)) {
        // SAFETY: each chunk is as long as what is loaded from it, 16 components; loads need no alignment.
        let (query_low, query_high, row): (v128, v128, v128) = unsafe {
            (
                v128_load(query.as_ptr().cast()),
                v128_load(query.as_ptr().add(8).cast()),
                v128_load(row.as_ptr().cast()),
            )
        };
        low = i32x4_add(low, i32x4_dot_i16x8(query_low, i16x8_extend_low_i8x16(row)));
        high = i32x4_add(high, i32x4_dot_i16x8(query_high, i16x8_extend_high_i8x16(row)));
    }
    let sum = i32x4_add(low, high);
    i32x4_extract_lane::<0>(sum)
        + i32x4_extract_lane::<1>(sum)
        + i32x4_extract_lane::<2>(sum)
        + i32x4_extract_lane::<3>(sum)
}
