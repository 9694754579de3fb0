//! How well scores tell what is positive, such as anomalies, from the others.

use crate::error::Result;
use crate::probe::{WHY_NOT_FINITE, check_pairs, refuse};

/// The share of the positive that is to be found where the others taken for such are counted.
const FOUND: f64 = 0.95;

/// The normal distribution's quantile of a 95 % interval.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// How well scores tell positive images from others. All are shares, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The area under the ROC curve: the share of pairs of a positive image and another one in which the
    /// positive one has the higher score, a tie counted as a half. 1 is perfect and ½ is chance.
    ///
    /// It is U / (n₁ n₀), where U = R₁ − n₁ (n₁ + 1) / 2 and R₁ is the sum of the ranks of the positive
    /// scores, tied ones having the mean of their ranks (Mann and Whitney 1947; that this is the area:
    /// Hanley and McNeil 1982).
    pub auroc: f64,
    /// Half of its 95 % confidence interval over images, 1.96 √(S₁ / n₁ + S₀ / n₀): S₁ is the variance, over
    /// the positive images, of the share of others that score below, and S₀ that, over the others, of the
    /// share of positive ones that score above (`DeLong` et al. 1988). 0 where all pairs are
    /// told right, or all wrong; `None` if there is but one image of a kind.
    pub auroc_margin: Option<f64>,
    /// The area under the curve of precision and recall, as average precision: Σ (Rₜ − Rₜ₋₁) Pₜ over the
    /// scores as thresholds from the highest down, where Pₜ and Rₜ are the precision and the recall of those
    /// at the threshold or above (Manning, Raghavan and Schütze 2008, section 8.4; `average_precision_score`
    /// of scikit-learn). Chance is the share of images that are positive.
    pub average_precision: f64,
    /// The share of the others that are taken for positive at the highest threshold at which 95 % of the
    /// positive images or more are found (Hendrycks and Gimpel 2017; Liang, Li and Srikant 2018, "FPR at 95 %
    /// TPR"). 0 is perfect, and chance is about 0.95.
    pub fpr_at_95: f64,
    /// The number of positive images, n₁.
    pub positive: usize,
    /// The number of the others, n₀.
    pub others: usize,
}

impl Detection {
    /// Whether the positive images score lower than the others, and by more than chance may do: all of the
    /// AUROC's confidence interval lies below ½.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        self.auroc_margin.is_some_and(|margin| self.auroc + margin < 0.5)
    }
}

/// How well scores, which are to be higher for what is positive, tell it from the others; `None` if all are
/// of one kind.
///
/// # Errors
///
/// If there are no scores, not as many as marks, or one is not finite.
pub fn detection(scores: &[f64], positive: &[bool]) -> Result<Option<Detection>> {
    check_pairs("scores", scores.len(), "marks", positive.len())?;
    if let Some(at) = scores.iter().position(|v| !v.is_finite()) {
        let what = format!("score {at} is {}, expected a finite number", scores[at]);
        return Err(refuse(what).hint(WHY_NOT_FINITE));
    }
    let all = positive.iter().filter(|&&positive| positive).count();
    let others = positive.len() - all;
    if all == 0 || others == 0 {
        return Ok(None);
    }
    let mut pairs: Vec<_> = scores.iter().copied().zip(positive.iter().copied()).collect();
    // From the highest down.
    pairs.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let (n, m) = (all as f64, others as f64);
    // Counts of those above. Twice U is counted in integers: of each tied run, twice the others below and once
    // those beside.
    let (mut above, mut others_above, mut twice) = (0_usize, 0_usize, 0_u128);
    let (mut precision, mut fpr) = (0.0, None);
    // Sums over the images of a kind of squares of their shares.
    let (mut squares, mut other_squares) = (0.0, 0.0);
    for tied in pairs.chunk_by(|(a, _), (b, _)| a == b) {
        let here = tied.iter().filter(|(_, positive)| *positive).count();
        let others_here = tied.len() - here;
        let below = others - others_above - others_here;
        twice += here as u128 * (2 * below + others_here) as u128;
        squares += here as f64 * ((below as f64 + others_here as f64 / 2.0) / m).powi(2);
        other_squares += others_here as f64 * ((above as f64 + here as f64 / 2.0) / n).powi(2);
        (above, others_above) = (above + here, others_above + others_here);
        precision += here as f64 / n * (above as f64 / (above + others_above) as f64);
        if fpr.is_none() && above as f64 >= FOUND * n {
            fpr = Some(others_above as f64 / m);
        }
    }
    let auroc = twice as f64 / (2 * all as u128 * others as u128) as f64;
    // Both kinds' shares have the area as their mean.
    let variance = |squares: f64, n: f64| ((squares - n * auroc * auroc) / (n - 1.0)).max(0.0) / n;
    let margin = || DEVIATIONS * (variance(squares, n) + variance(other_squares, m)).sqrt();
    Ok(Some(Detection {
        auroc,
        auroc_margin: (all > 1 && others > 1).then(margin),
        average_precision: precision,
        // At the lowest score all are found.
        fpr_at_95: fpr.unwrap_or(1.0),
        positive: all,
        others,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(scores: &[f64], positive: &[u8]) -> Option<Detection> {
        let positive: Vec<_> = positive.iter().map(|&p| p == 1).collect();
        detection(scores, &positive).expect("finite scores")
    }

    #[test]
    fn areas_are_those_counted_by_hand() {
        let area = |scores: &[f64], positive: &[u8]| told(scores, positive).map(|told| told.auroc);
        assert_eq!(area(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), Some(0.75), "3 of 4 pairs");
        assert_eq!(area(&[3.0, 2.0, 1.0], &[0, 1, 1]), Some(0.0), "all wrong");
        assert_eq!(area(&[7.0; 5], &[0, 1, 1, 0, 1]), Some(0.5), "all tied");
        // Pairs: 1 < 2 yes, 1 < 1 half, 2 < 2 half, 2 < 1 no.
        assert_eq!(area(&[1.0, 2.0, 2.0, 1.0], &[0, 0, 1, 1]), Some(0.5), "ties count half");
        assert_eq!(area(&[0.0, -0.0, 1.0], &[0, 1, 1]), Some(0.75), "both zeros are one");
        assert_eq!(area(&[1.0, 2.0], &[1, 1]), None, "no others");
        assert_eq!(area(&[1.0, 2.0], &[0, 0]), None, "no positives");
    }

    /// The other figures of four images, each by its definition.
    #[test]
    fn the_rest_is_as_defined() {
        let found = told(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]).expect("both kinds");
        // Of 0.8 the precision is 1, of 0.35 it is 2 of 3.
        assert!((found.average_precision - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15, "{found:?}");
        assert_eq!(found.fpr_at_95, 0.5, "both are found with one of two others");
        // Shares of others below: ½ and 1; of positive ones above: 1 and ½. Variances 1/8, halved.
        let margin = 1.959_963_984_540_054 * (0.125_f64 / 2.0 + 0.125 / 2.0).sqrt();
        assert!((found.auroc_margin.expect("pairs") - margin).abs() < 1e-15, "{found:?}");
        assert_eq!((found.positive, found.others), (2, 2));
        let tied = told(&[7.0; 5], &[0, 1, 1, 0, 1]).expect("both kinds");
        assert_eq!((tied.average_precision, tied.fpr_at_95), (0.6, 1.0), "all tied: {tied:?}");
        assert_eq!(tied.auroc_margin, Some(0.0), "no image differs");
        let one = told(&[1.0, 2.0, 3.0], &[0, 0, 1]).expect("both kinds");
        assert_eq!((one.auroc_margin, one.fpr_at_95), (None, 0.0), "one image of a kind: {one:?}");
        // 19 of 20 are enough.
        let mut scores: Vec<f64> = (0..20).map(|i| f64::from(10 + i)).collect();
        scores[0] = 1.0;
        scores.extend([5.0, 6.0]);
        let marks: Vec<u8> = (0..22).map(|i| u8::from(i < 20)).collect();
        assert_eq!(told(&scores, &marks).map(|told| told.fpr_at_95), Some(0.0), "95 % of 20");
    }

    #[test]
    fn reversed_is_what_chance_does_not_do() {
        let marks: Vec<u8> = (0..40).map(|i| i % 2).collect();
        let of = |shift: f64| {
            let scores: Vec<_> = (0..40)
                .map(|i| f64::from(i * 7 % 40) + if i % 2 == 1 { shift } else { 0.0 })
                .collect();
            told(&scores, &marks).expect("both kinds")
        };
        assert!(of(-30.0).is_reversed() && of(-30.0).auroc < 0.2, "{:?}", of(-30.0));
        assert!(of(-3.0).auroc < 0.5 && !of(-3.0).is_reversed(), "may be chance: {:?}", of(-3.0));
        assert!(!of(30.0).is_reversed(), "{:?}", of(30.0));
    }
}
