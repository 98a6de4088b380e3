//! A row of little bars.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `width` values as bars from the lowest to the highest of them; a gap for a value that is missing. A range smaller
/// than a hundredth of the values counts as standing still.
pub(super) fn sparkline<'a>(
    values: impl DoubleEndedIterator<Item = &'a Option<f64>> + Clone,
    width: usize,
) -> String {
    let mut shown: Vec<_> = values.rev().take(width).copied().collect();
    shown.reverse();
    let known = || shown.iter().flatten().copied();
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let range = (high - low).max(low.abs().max(high.abs()) / 100.0).max(f64::MIN_POSITIVE);
    shown
        .iter()
        .map(|value| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
            let step = value.map(|value| ((value - low) / range * 7.0).round() as usize);
            step.map_or(' ', |step| BARS[step.min(7)])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_span_the_range_and_gaps_stay_gaps() {
        let values = [Some(0.0), Some(50.0), None, Some(100.0)];
        assert_eq!(sparkline(values.iter(), 10), "▁▅ █");
        assert_eq!(sparkline(values.iter(), 2), " ▁", "only what is shown counts");
        let still = [Some(100.0), Some(100.1)];
        assert_eq!(sparkline(still.iter(), 10), "▁▂");
        assert_eq!(sparkline([].iter(), 10), "");
    }
}
