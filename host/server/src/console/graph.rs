//! Directed graphs as pictures: layers from left to right, what something is made from to the left of it.

use floret_show::cut;
use maud::{Markup, html};
use rust_sugiyama::configure::Config;
use rust_sugiyama::from_vertices_and_edges;

/// In pixels, as for all that follow: the box of a node, and the space around it.
const WIDTH: f64 = 190.0;
const HEIGHT: f64 = 40.0;
const SPACE: f64 = 22.0;
const MARGIN: f64 = 14.0;
/// Letters of a name that a box has room for.
const NAME_CHARS_MAX: usize = 27;
/// Above so many nodes, or four times as many edges, crossings are reduced less thoroughly: it takes seconds otherwise.
const THOROUGH_MAX: usize = 150;

/// A node and how it looks.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub name: String,
    /// A line below its name.
    pub about: String,
    pub href: String,
    /// `here`, `good`, `bad`, `warn`, `run` or nothing.
    pub class: &'static str,
}

/// Nodes, and edges from what is used to what uses it, by the places of the nodes.
#[derive(Clone, Default, Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<(usize, usize)>,
}

/// Where the middles of the nodes are, and how large the picture is.
struct Placed {
    middles: Vec<(f64, f64)>,
    width: f64,
    height: f64,
}

impl Graph {
    /// The picture. Takes some 100 ms for 1,000 nodes: call it where that holds nobody up.
    pub fn draw(&self, title: &str) -> Markup {
        let Placed { middles, width, height } = self.placed();
        html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(round(width)) height=(round(height))
                viewBox={ "0 0 " (round(width)) " " (round(height)) } role="group" aria-label=(title) {
                @for &(from, to) in &self.edges {
                    path class="edge" d=(curve(middles[from], middles[to])) {}
                }
                @for (node, &(x, y)) in self.nodes.iter().zip(&middles) {
                    a href=(node.href) class={ "node " (node.class) } {
                        title { (node.name) " — " (node.about) }
                        rect x=(round(x - WIDTH / 2.0)) y=(round(y - HEIGHT / 2.0)) width=(WIDTH) height=(HEIGHT) rx="6" {}
                        text x=(round(x - WIDTH / 2.0 + 9.0)) y=(round(y - 3.0)) { (cut(&node.name, NAME_CHARS_MAX)) }
                        text class="faint" x=(round(x - WIDTH / 2.0 + 9.0)) y=(round(y + 13.0)) { (cut(&node.about, NAME_CHARS_MAX)) }
                    }
                }
            }
        }
    }

    /// The layout has its layers below each other, so that heights and widths change places.
    fn placed(&self) -> Placed {
        let vertices: Vec<(u32, (f64, f64))> =
            (0..self.nodes.len() as u32).map(|id| (id, (HEIGHT, WIDTH))).collect();
        let edges: Vec<(u32, u32)> = self.edges.iter().map(|&(from, to)| (from as u32, to as u32)).collect();
        let is_thorough = vertices.len() <= THOROUGH_MAX && edges.len() <= 4 * THOROUGH_MAX;
        let config = Config {
            vertex_spacing: SPACE,
            transpose: is_thorough,
            dummy_vertices: is_thorough,
            ..Config::default()
        };
        let mut middles = vec![(0.0, 0.0); vertices.len()];
        let (mut width, mut top) = (0.0_f64, MARGIN);
        for (part, _, _) in from_vertices_and_edges(&vertices, &edges, &config) {
            let across = extent(part.iter().map(|(_, (across, _))| *across));
            let along = extent(part.iter().map(|(_, (_, along))| *along));
            for (id, (x, y)) in part {
                middles[id] = (y - along.0 + WIDTH / 2.0 + MARGIN, x - across.0 + HEIGHT / 2.0 + top);
            }
            width = width.max(along.1 - along.0 + WIDTH + 2.0 * MARGIN);
            top += across.1 - across.0 + HEIGHT + SPACE;
        }
        Placed { middles, width, height: top - SPACE + MARGIN }
    }
}

/// The least and the greatest.
fn extent(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| (least.min(it), most.max(it)))
}

fn curve((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    let (x1, x2) = (x1 + WIDTH / 2.0, x2 - WIDTH / 2.0);
    let bend = ((x2 - x1) / 2.0).abs().max(SPACE);
    format!("M{x1:.0} {y1:.0}C{:.0} {y1:.0} {:.0} {y2:.0} {x2:.0} {y2:.0}", x1 + bend, x2 - bend)
}

fn round(pixels: f64) -> f64 {
    pixels.round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let node = |place| Node {
            name: format!("corpus/{place}<b>"),
            about: "a".to_owned(),
            href: "/".to_owned(),
            class: "",
        };
        Graph { nodes: (0..nodes).map(node).collect(), edges: edges.to_vec() }
    }

    #[test]
    fn what_is_used_stands_to_the_left_and_nothing_covers_anything() {
        let graph = graph(7, &[(0, 2), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5), (0, 5)]);
        let placed = graph.placed();
        for &(from, to) in &graph.edges {
            assert!(placed.middles[from].0 + WIDTH <= placed.middles[to].0, "{from} to {to}");
        }
        for (place, a) in placed.middles.iter().enumerate() {
            assert!(a.0 >= WIDTH / 2.0 && a.0 + WIDTH / 2.0 <= placed.width, "{a:?}");
            assert!(a.1 >= HEIGHT / 2.0 && a.1 + HEIGHT / 2.0 <= placed.height, "{a:?}");
            for b in &placed.middles[place + 1..] {
                assert!((a.0 - b.0).abs() >= WIDTH || (a.1 - b.1).abs() >= HEIGHT, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn graphs_of_nothing_and_of_many_are_drawn_and_texts_are_escaped() {
        assert!(graph(0, &[]).draw("none").into_string().starts_with("<svg"));
        let fan: Vec<_> = (1..1000).map(|leaf| (0, leaf)).collect();
        let picture = graph(1000, &fan).draw("many").into_string();
        assert_eq!(picture.matches("<rect").count(), 1000);
        assert!(picture.contains("corpus/7&lt;b&gt;") && !picture.contains("<b>"));
    }
}
