//! A treemap with two levels: rectangles whose areas are in the proportion of weights, as square as the
//! algorithm of Bruls, Huizing and van Wijk ("Squarified Treemaps", 2000) makes them.

/// A place on the drawing, in its own units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// The same with `top` and, on the other sides, `edge` taken away; never negative.
    pub fn inner(self, top: f64, edge: f64) -> Self {
        let w = (self.w - 2.0 * edge).max(0.0);
        let h = (self.h - top - edge).max(0.0);
        Self { x: self.x + edge, y: self.y + top, w, h }
    }

    fn area(self) -> f64 {
        self.w * self.h
    }
}

/// Divides `rect` among `weights`, which are in falling order, and returns one rectangle each.
/// A weight that is not above zero gets an empty one.
pub fn squarify(weights: &[f64], rect: Rect) -> Vec<Rect> {
    let positive = |weight: &f64| if *weight > 0.0 { *weight } else { 0.0 };
    let total: f64 = weights.iter().map(positive).sum();
    let mut out = Vec::with_capacity(weights.len());
    if total <= 0.0 {
        return vec![Rect { w: 0.0, h: 0.0, ..rect }; weights.len()];
    }
    let scale = rect.area() / total;
    let areas: Vec<f64> = weights.iter().map(|weight| positive(weight) * scale).collect();
    let mut free = rect;
    let mut start = 0;
    while start < areas.len() {
        let side = free.w.min(free.h);
        let mut end = start + 1;
        // A row grows as long as that makes its rectangles more square.
        while end < areas.len() && worst(&areas[start..=end], side) <= worst(&areas[start..end], side) {
            end += 1;
        }
        free = lay_row(&areas[start..end], free, &mut out);
        start = end;
    }
    out
}

/// The largest ratio of sides in a row along `side`.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thickness = sum / side;
    row.iter()
        .map(|area| {
            let length = area / thickness;
            (length / thickness).max(thickness / length)
        })
        .fold(1.0, f64::max)
}

/// Lays one row along the shorter side and returns what is left.
fn lay_row(row: &[f64], free: Rect, out: &mut Vec<Rect>) -> Rect {
    let sum: f64 = row.iter().sum();
    let along_height = free.h <= free.w;
    let side = if along_height { free.h } else { free.w };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if thickness > 0.0 { area / thickness } else { 0.0 };
        out.push(if along_height {
            Rect { x: free.x, y: free.y + at, w: thickness, h: length }
        } else {
            Rect { x: free.x + at, y: free.y, w: length, h: thickness }
        });
        at += length;
    }
    if along_height {
        Rect { x: free.x + thickness, w: (free.w - thickness).max(0.0), ..free }
    } else {
        Rect { y: free.y + thickness, h: (free.h - thickness).max(0.0), ..free }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect { x: 0.0, y: 0.0, w: 6.0, h: 4.0 };

    #[test]
    fn the_papers_example_comes_out_as_in_the_paper() {
        let rects = squarify(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], WHOLE);
        let first = Rect { x: 0.0, y: 0.0, w: 3.0, h: 2.0 };
        assert_eq!(rects[0], first);
        assert_eq!(rects[1], Rect { y: 2.0, ..first });
        assert!((rects[2].w - 12.0 / 7.0).abs() < 1e-9, "{:?}", rects[2]);
    }

    #[test]
    fn areas_are_in_proportion_and_cover_the_whole() {
        let weights = [50.0, 20.0, 20.0, 5.0, 3.0, 1.0, 0.5];
        let rects = squarify(&weights, WHOLE);
        let total: f64 = weights.iter().sum();
        for (weight, rect) in weights.iter().zip(&rects) {
            assert!((rect.area() - weight / total * WHOLE.area()).abs() < 1e-9, "{rect:?}");
        }
    }

    #[test]
    fn no_two_overlap_and_none_leaves_the_whole() {
        let weights: Vec<f64> = (1..40).rev().map(f64::from).collect();
        let rects = squarify(&weights, WHOLE);
        let eps = 1e-9;
        for (idx, a) in rects.iter().enumerate() {
            assert!(a.x >= -eps && a.y >= -eps && a.x + a.w <= 6.0 + eps && a.y + a.h <= 4.0 + eps, "{a:?}");
            for b in &rects[idx + 1..] {
                let apart = a.x + a.w <= b.x + eps || b.x + b.w <= a.x + eps;
                assert!(apart || a.y + a.h <= b.y + eps || b.y + b.h <= a.y + eps, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn nothing_and_zeros_give_empty_rectangles() {
        assert!(squarify(&[], WHOLE).is_empty());
        for rect in squarify(&[0.0, -1.0], WHOLE) {
            assert_eq!(rect.area(), 0.0);
        }
        let rects = squarify(&[1.0, 0.0], WHOLE);
        assert_eq!((rects[0].area(), rects[1].area()), (24.0, 0.0));
    }
}
