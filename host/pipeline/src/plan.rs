//! Planning: reverse edges from what changed, in topological order.

use std::collections::{BTreeSet, HashMap};

use floret_model::{Plan, PlannedStep, ResourceKey, StepReason};

use crate::{Error, Floret};

/// A plan with its edges by number, for the scheduler.
pub(crate) struct Graph {
    pub plan: Plan,
    /// For each step, the steps that wait for it.
    pub before: Vec<Vec<usize>>,
    /// For each step, whether it depends on a root itself.
    pub direct: Vec<bool>,
}

/// A resource whose build is asked for by name, with the inputs that it will have.
pub(crate) struct Requested<'a> {
    pub key: &'a ResourceKey,
    pub inputs: Vec<&'a ResourceKey>,
}

impl Floret {
    /// What a cascade from these resources would look at. A resource that changed is not itself a step; one
    /// that is built is rebuilt by [`cascade`](Self::cascade) only if it is named by `build`.
    ///
    /// Takes memory and time linear in the resources and edges reached.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn plan(&self, roots: &[ResourceKey]) -> Result<Plan, Error> {
        for root in roots {
            self.check_namespace(&root.namespace)?;
        }
        Ok(self.graph(roots, &[]).await?.plan)
    }

    pub(crate) async fn graph(
        &self,
        roots: &[ResourceKey],
        requested: &[Requested<'_>],
    ) -> Result<Graph, Error> {
        let (nodes, edges) = self.reach(roots, requested).await?;
        let root_set: BTreeSet<&ResourceKey> = roots.iter().collect();
        let order = topological(&nodes, &edges)?;
        let mut place = vec![usize::MAX; nodes.len()];
        for (position, node) in order.iter().enumerate() {
            place[*node] = position;
        }
        let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (from, dependents) in edges.iter().enumerate() {
            for to in dependents {
                inputs[*to].push(from);
            }
        }
        let is_requested: BTreeSet<&ResourceKey> = requested.iter().map(|requested| requested.key).collect();
        // Roots are nodes too, so that edges out of them count, but not steps unless they are requested.
        let is_step = |node: usize| !root_set.contains(&nodes[node]) || is_requested.contains(&nodes[node]);
        let steps: Vec<usize> = order.iter().copied().filter(|node| is_step(*node)).collect();
        let mut number = vec![usize::MAX; nodes.len()];
        for (index, node) in steps.iter().enumerate() {
            number[*node] = index;
        }
        let mut graph =
            Graph { plan: Plan::default(), before: vec![Vec::new(); steps.len()], direct: Vec::new() };
        for node in &steps {
            let mut changed: Vec<ResourceKey> =
                inputs[*node].iter().map(|from| nodes[*from].clone()).collect();
            changed.sort();
            let after: BTreeSet<usize> =
                inputs[*node].iter().filter(|from| is_step(**from)).map(|from| number[*from]).collect();
            for earlier in &after {
                graph.before[*earlier].push(number[*node]);
            }
            graph.direct.push(inputs[*node].iter().any(|from| root_set.contains(&nodes[*from])));
            let reason = match is_requested.contains(&nodes[*node]) {
                true => StepReason::Requested,
                false => StepReason::InputChanged { inputs: changed },
            };
            graph.plan.steps.push(PlannedStep {
                key: nodes[*node].clone(),
                after: after.into_iter().collect(),
                reason,
            });
        }
        graph.plan.roots = roots.to_vec();
        Ok(graph)
    }

    /// Everything reachable from the roots and the requested, with the edges to dependents, by number.
    async fn reach(
        &self,
        roots: &[ResourceKey],
        requested: &[Requested<'_>],
    ) -> Result<(Vec<ResourceKey>, Vec<Vec<usize>>), Error> {
        let mut nodes = Nodes::default();
        for key in roots.iter().chain(requested.iter().map(|requested| requested.key)) {
            nodes.number(key);
        }
        let mut edges: Vec<BTreeSet<usize>> = Vec::new();
        while edges.len() < nodes.keys.len() {
            let wave = nodes.keys[edges.len()..].to_vec();
            for dependents in self.catalog.dependents(&wave).await? {
                edges.push(dependents.iter().map(|dependent| nodes.number(dependent)).collect());
            }
        }
        // The inputs that a requested build will have replace those of its latest version.
        let replaced: BTreeSet<usize> =
            requested.iter().map(|requested| nodes.number(requested.key)).collect();
        if !replaced.is_empty() {
            edges.iter_mut().for_each(|to| to.retain(|to| !replaced.contains(to)));
        }
        for requested in requested {
            let to = nodes.number(requested.key);
            for input in &requested.inputs {
                if let Some(from) = nodes.numbers.get(input) {
                    edges[*from].insert(to);
                }
            }
        }
        Ok((nodes.keys, edges.into_iter().map(|to| to.into_iter().collect()).collect()))
    }
}

/// Resources by number, in the order in which they were reached.
#[derive(Default)]
struct Nodes {
    numbers: HashMap<ResourceKey, usize>,
    keys: Vec<ResourceKey>,
}

impl Nodes {
    fn number(&mut self, key: &ResourceKey) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        self.numbers.insert(key.clone(), self.keys.len());
        self.keys.push(key.clone());
        self.keys.len() - 1
    }
}

/// Kahn's algorithm, taking ready nodes in the order in which they were reached.
fn topological(nodes: &[ResourceKey], edges: &[Vec<usize>]) -> Result<Vec<usize>, Error> {
    let mut waits = vec![0usize; nodes.len()];
    for to in edges.iter().flatten() {
        waits[*to] += 1;
    }
    let mut order: Vec<usize> = (0..nodes.len()).filter(|node| waits[*node] == 0).collect();
    let mut next = 0;
    while next < order.len() {
        for to in &edges[order[next]] {
            waits[*to] -= 1;
            if waits[*to] == 0 {
                order.push(*to);
            }
        }
        next += 1;
    }
    match waits.iter().position(|waits| *waits > 0) {
        None => Ok(order),
        Some(stuck) => {
            let path: Vec<ResourceKey> =
                cycle(stuck, edges, &waits).into_iter().map(|node| nodes[node].clone()).collect();
            let (on, key) = (path[0].clone(), path[path.len() - 1].clone());
            Err(floret_store::Error::Cycle { key, on: Box::new(on), path }.into())
        }
    }
}

/// A cycle, each node before one that it depends on, and the last depends on the first: every node that still waits has
/// an input that does, so that going from input to input comes round.
fn cycle(stuck: usize, edges: &[Vec<usize>], waits: &[usize]) -> Vec<usize> {
    let mut path = vec![stuck];
    loop {
        let last = path[path.len() - 1];
        let waiting = |from: &usize| waits[*from] > 0 && edges[*from].contains(&last);
        let from = (0..edges.len()).find(waiting).expect("a node waits only for one that waits");
        if let Some(begin) = path.iter().position(|node| *node == from) {
            path.drain(..begin);
            path.rotate_left(1);
            return path;
        }
        path.push(from);
    }
}
