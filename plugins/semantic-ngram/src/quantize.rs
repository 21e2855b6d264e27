//! Keeping components in fewer bytes.

/// Greatest magnitude of an 8-bit component.
const INT8_MAX: f32 = 127.0;

/// Greatest magnitude of a query's component: 11 bits. 1,024 components × 127 × 2,047 stay below 2^31.
const QUERY_MAX: f32 = 2047.0;

/// Append the components as 8-bit integers; the scale gives them back: value ≈ integer × scale.
pub fn to_int8(vector: &[f32], out: &mut Vec<u8>) -> f32 {
    let scale = scale(vector, INT8_MAX);
    out.extend(vector.iter().map(|value| (value / scale).round_ties_even() as i8 as u8));
    scale
}

/// A query as 16-bit integers, finer than the vectors, with its scale.
pub fn to_query(vector: &[f32]) -> (Vec<i16>, f32) {
    let scale = scale(vector, QUERY_MAX);
    (vector.iter().map(|value| (value / scale).round_ties_even() as i16).collect(), scale)
}

/// What one step stands for; 1 for a vector of zeros.
fn scale(vector: &[f32], steps: f32) -> f32 {
    let greatest = vector.iter().fold(0.0f32, |greatest, value| greatest.max(value.abs()));
    if greatest > 0.0 { greatest / steps } else { 1.0 }
}

/// The nearest IEEE 754 half-precision number, ties to even. For finite values within its range.
pub fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    let (mantissa, shift) = match exponent {
        -14.. => ((bits & 0x7f_ffff) | ((exponent + 15) as u32) << 23, 13),
        // Subnormal: the implicit bit shows and moves right.
        -25..=-15 => ((bits & 0x7f_ffff) | 0x80_0000, 13 + (-14 - exponent) as u32),
        _ => return sign,
    };
    let half = mantissa >> shift;
    let rest = mantissa & ((1 << shift) - 1);
    let middle = 1 << (shift - 1);
    sign | (half + u32::from(rest > middle || rest == middle && half & 1 == 1)) as u16
}

/// A half-precision number as it is: exact. For finite ones.
#[inline]
pub fn from_half(half: u16) -> f32 {
    // The exponent's bias differs by 112; multiplying also puts subnormals right.
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_trip_and_round_to_nearest() {
        for half in (0..0x7c00u16).chain(0x8000..0xfc00) {
            assert_eq!(to_half(from_half(half)), half, "{half:#x}");
        }
        for (value, expected) in [
            (1.0, 0x3c00),
            (-0.5, 0xb800),
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (1e-9, 0),
            (6e-8, 1),
        ] {
            assert_eq!(to_half(value), expected, "{value}");
        }
    }

    #[test]
    fn int8_is_within_half_a_step() {
        let vector = [0.5, -1.0, 0.0, 0.003];
        let mut bytes = Vec::new();
        let scale = to_int8(&vector, &mut bytes);
        for (value, byte) in vector.iter().zip(&bytes) {
            assert!((value - f32::from(*byte as i8) * scale).abs() <= scale / 2.0 + f32::EPSILON);
        }
        assert_eq!(to_int8(&[0.0; 4], &mut Vec::new()), 1.0);
    }
}
