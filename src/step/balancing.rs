//! What balancing adds to a program: the views of the backward pass, the buffers, their limits.

use super::buffers::{spec, table_spec};
use super::request::Request;
use crate::config::{Acts, Metric, Space};
use crate::fault::{Exit, Fault};
use crate::kernels::Unit;
use crate::kernels::params::{self, Combination, NONE, PlaneTerm};
use crate::objective::Objective;
use crate::objective::balance::Method;
use crate::plan::{BalanceBuffers, Depth, LayerPlan, Views, Wanted};
use crate::schedule::{Kind, Program};

/// The largest number of tasks whose gradients can be compared: kernels have room for their
/// weights in workgroup memory.
const MOST_TASKS: usize = 128;

/// Elements of a region for each of the workgroups that share it.
const SLICE: usize = 16 << 10;

/// The largest number of workgroups that share a region.
const MOST_SLICES: usize = 64;

/// Invocations of the solvers, each of which may have a tableau of its own.
const LANES: usize = 64;

/// What a training step does about balancing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whether weights are found anew.
    pub solves: bool,
    /// Whether conflict is measured.
    pub observes: bool,
}

/// How the weights of the tasks come into a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all.
    Constant,
    /// As factors on the losses, from the losses of the batch.
    Losses,
    /// As factors on the losses, from the step before.
    Before,
    /// As factors on planes.
    Planes,
    /// As factors on the gradients of parameters by task.
    Deep,
    /// As factors on deltas by task, compared by rows: like the former without these gradients.
    ByRows,
}

impl Way {
    /// How the weights of an objective come into a step that solves or does not.
    pub fn of(objective: &Objective, solves: bool) -> Way {
        let space = objective.balance.space;
        match objective.balance.method.acts() {
            Acts::Nothing => Way::Constant,
            Acts::Losses => Way::Losses,
            Acts::Before => Way::Before,
            Acts::Products | Acts::Elements if space == Space::Representation || !solves => {
                Way::Planes
            }
            Acts::Sizes | Acts::Products | Acts::Elements => Way::Deep,
        }
    }
}

/// The views that an objective needs of a plan.
fn wanted(objective: &Objective) -> Wanted {
    let balance = &objective.balance;
    let ways = [Way::of(objective, true), Way::of(objective, balance.every <= 1)];
    let deep = match ways[0] {
        _ if balance.observe > 0 => Some(Depth::All),
        Way::Deep => Some(Depth::All),
        Way::Before => Some(Depth::Last),
        _ => None,
    };
    let planes = ways.contains(&Way::Planes);
    Wanted { planes, deep, couplings: objective.balances_couplings(), rows: None }
}

/// Places within the buffer of products of tasks: the sums, the scaled ones with their scales, the
/// losses before and after the update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gramian {
    pub(super) objectives: usize,
}

impl Gramian {
    pub(super) fn scaled(self) -> usize {
        self.objectives * self.objectives
    }

    pub(super) fn losses(self) -> usize {
        2 * self.scaled() + self.objectives
    }

    pub(super) fn len(self) -> usize {
        self.losses() + 2 * self.objectives
    }
}

/// Workgroups that share a region.
pub(super) fn slices_of(elements: usize) -> usize {
    elements.div_ceil(SLICE).clamp(1, MOST_SLICES)
}

/// Pairs of blocks of four tasks.
pub(super) fn pairs(tasks: usize) -> usize {
    let blocks = tasks.div_ceil(4);
    blocks * (blocks + 1) / 2
}

/// The elements of the largest region of a kind.
pub(super) fn longest(views: &Views, rows: usize, (first, count): (usize, usize)) -> usize {
    let regions = views.regions[first..first + count].iter();
    let length = |r: &params::Region| r.width as usize * if r.by_row == 1 { rows } else { 1 };
    regions.map(length).max().unwrap_or(0)
}

/// The regions of both arenas as one run.
pub(super) fn joined([even, odd]: [(usize, usize); 2]) -> (usize, usize) {
    (even.0, even.1 + odd.1)
}

/// The regions of the planes of both arenas.
pub(super) fn plane_regions(views: &Views) -> (usize, usize) {
    let planes = views.planes.as_ref().map(|planes| planes.regions);
    planes.map_or((0, 0), joined)
}

/// Numbers of products that the largest comparison makes.
fn products_len(objective: &Objective, views: &Views, capacity: usize) -> usize {
    let of = |regions: (usize, usize), tasks: usize| {
        16 * pairs(tasks) * regions.1 * slices_of(longest(views, capacity, regions))
    };
    let deep = views.deep.as_ref().map_or((0, 0), |deep| deep.regions);
    let changes = usize::from(objective.balance.observe > 0);
    let objectives = views.objectives;
    let by_rows = views.deep.as_ref().and_then(|deep| deep.by_rows.as_ref());
    let by_rows = by_rows.map_or((0, 0), |found| joined(found.regions));
    let planes = of(plane_regions(views), objectives);
    planes.max(of(by_rows, objectives)).max(of(deep, objectives + changes))
}

/// Numbers that a solver leaves: the weights, and behind them its residual if it has one.
pub(super) fn weights_len(objective: &Objective, tasks: usize) -> usize {
    tasks + usize::from(objective.balance.method.acts() == Acts::Products)
}

/// Numbers that a method keeps from step to step, besides what it keeps of gradients.
pub(super) fn state_len(objective: &Objective, tasks: usize) -> usize {
    weights_len(objective, tasks) + objective.solver().map_or(0, |method| method.state(tasks))
}

/// Numbers of the work space of a solver.
fn work_len(method: &dyn Method, tasks: usize) -> usize {
    match method.kernel().name {
        "cone_projection" => tasks * (tasks + 2) * LANES,
        _ => 2 * tasks * tasks,
    }
}

/// The views of the backward pass that a program needs.
pub(super) fn wanted_views(request: &Request) -> Wanted {
    request.optimizer.map_or(Wanted::default(), |_| wanted(request.objective))
}

/// Likewise for chunks of at most this many rows.
pub(super) fn wanted_in_chunks(request: &Request, most: usize) -> Wanted {
    let (objective, wanted) = (request.objective, wanted_views(request));
    let is_solved = objective.balance.method.acts() == Acts::Products && wanted.deep.is_some();
    let is_plain = objective.balance.metric == Metric::Plain && !wanted.couplings;
    let is_exact = objective.balance.space == Space::Parameters;
    // Products of rows have no scale that keeps them within f16.
    let is_half = request.tuning.unit.is_some_and(Unit::is_half);
    let by_rows = is_solved
        && is_plain
        && is_exact
        && !is_half
        && request.batch <= most
        && !request.shards.cuts();
    Wanted { rows: by_rows.then_some(request.batch), ..wanted }
}

/// Checks that what balancing needs fits the bindings of the adapter, and that there is something
/// to balance.
///
/// # Errors
/// 69 if a buffer is too large; 78 if there are too many tasks, or tasks share nothing that is
/// trained.
pub(super) fn check_size(request: &Request, plan: &LayerPlan) -> Result<(), Fault> {
    let (objective, tasks) = (request.objective, request.objective.objectives());
    let Some(views) = &plan.views else { return Ok(()) };
    let key = if objective.method().is_some() { "balance.method" } else { "balance.observe" };
    if tasks > MOST_TASKS {
        let with =
            if objective.balances_couplings() { "tasks with their couplings" } else { "tasks" };
        let found = format!("{tasks} {with}, and gradients of at most {MOST_TASKS} are compared");
        return Err(Fault::config(key, found).hint("choose a method on losses, such as \"log\""));
    }
    let shares = views.planes.as_ref().is_none_or(|_| plane_regions(views).1 > 0);
    let shares = shares && views.deep.as_ref().is_none_or(|deep| deep.stride > 0);
    if !shares {
        let found = "has no effect, since no layer that trains is shared by two tasks";
        return Err(Fault::config(key, found)
            .hint("leave it out, or choose a method on losses, such as \"log\""));
    }
    let changes = usize::from(objective.balance.observe > 0);
    let deep = views.deep.as_ref().map_or(0, |deep| (tasks + changes) * deep.stride);
    let work = objective.solver().map_or(0, |method| work_len(method, tasks));
    let largest = deep.max(work).max(products_len(objective, views, 1));
    if 4 * largest as u64 > request.tuning.binding_bytes {
        let found = format!(
            "needs a storage binding of {} bytes for the gradients of {tasks} tasks; this adapter \
             offers {}",
            4 * largest as u64,
            request.tuning.binding_bytes
        );
        let hint = "balance by space = \"representation\" with observe = 0, or use narrower layers";
        return Err(Fault::new(Exit::Unavailable, format!("{key}: {found}")).hint(hint));
    }
    Ok(())
}

/// Makes the buffers that balancing needs.
pub(super) fn place_buffers(
    program: &mut Program,
    request: &Request,
    plan: &LayerPlan,
) -> BalanceBuffers {
    let mut b = BalanceBuffers::default();
    let objective = request.objective;
    if request.optimizer.is_none() {
        return b;
    }
    let tasks = objective.objectives();
    if let Some(method) = objective.solver() {
        let state = state_len(objective, tasks);
        let mut first = vec![method.first_weight().to_bits(); tasks];
        first.resize(state, 0f32.to_bits());
        b.balance = spec(program, "balance", state, Kind::F32, first);
        b.next_balance = spec(program, "next balance", state, Kind::F32, Vec::new());
        let weights: Vec<u32> = objective.weights.iter().map(|w| w.to_bits()).collect();
        b.preferences = spec(program, "preferences", weights.len(), Kind::F32, weights);
        let work = work_len(method, tasks);
        b.work = spec(program, "work of the solver", work, Kind::F32, Vec::new());
        b.gramian =
            spec(program, "gramian", Gramian { objectives: tasks }.len(), Kind::F32, Vec::new());
    }
    if matches!(Way::of(objective, true), Way::Losses | Way::Before) {
        let (combinations, terms) = scaled_logits(request, plan);
        b.scaled_logits = table_spec(program, "scaled logits", &combinations);
        b.scaled_terms = table_spec(program, "scaled logits' terms", &terms);
    }
    if objective.couples_apart() {
        let (logits, _) = scaled_logits(request, plan);
        let cleared: Vec<Combination> = logits
            .into_iter()
            .map(|logits| Combination { first_term: 0, terms: 0, ..logits })
            .collect();
        b.scaled_logits = table_spec(program, "cleared logits", &cleared);
        b.scaled_terms = table_spec(program, "cleared logits' terms", &[PlaneTerm::default()]);
    }
    let Some(views) = &plan.views else { return b };
    b.combinations = table_spec(program, "combinations", &views.combinations);
    b.plane_terms = table_spec(program, "planes", &views.terms);
    b.regions = table_spec(program, "regions", &views.regions);
    b.places = spec(program, "places", views.places.len(), Kind::U32, views.places.clone());
    b.runs = table_spec(program, "runs", &views.runs);
    let products = products_len(objective, views, plan.capacity);
    b.products = spec(program, "products of tasks", products, Kind::F32, Vec::new());
    if let Some(deep) = &views.deep {
        let changes = usize::from(objective.balance.observe > 0);
        if deep.by_rows.is_none() || changes == 1 {
            let len = (tasks + changes) * deep.stride;
            b.task_gradients = spec(program, "gradients by task", len, Kind::F32, Vec::new());
        }
        if objective.solver().is_some_and(|method| method.memory().is_some()) {
            let len = tasks * deep.stride;
            let first = vec![0f32.to_bits(); len];
            b.memory = spec(program, "memory of gradients", len, Kind::F32, first);
            b.next_memory = spec(program, "next memory", len, Kind::F32, Vec::new());
        }
        if let Some(found) = &deep.by_rows {
            b.row_sources = table_spec(program, "sources of rows", &found.sources);
            b.row_products =
                spec(program, "products of rows", found.products, Kind::F32, Vec::new());
            b.crossed = spec(program, "crossed deltas", found.crossed_len, Kind::F32, Vec::new());
        }
        if changes == 1 {
            let len = deep.regions.1 * (tasks + 1) * (tasks + 1);
            b.conflict = spec(program, "conflict", len, Kind::F32, Vec::new());
        }
    }
    b
}

/// The gradients of the logits of all heads as combinations that are scaled in place.
fn scaled_logits(request: &Request, plan: &LayerPlan) -> (Vec<Combination>, Vec<PlaneTerm>) {
    let of_task = |task: usize| {
        let delta = (plan.capacity * request.network.first_logit(task)) as u32;
        let width = request.network.tasks[task].outputs() as u32;
        let first_term = task as u32;
        let combination = Combination { width, slope: NONE, delta, first_term, terms: 1 };
        (combination, PlaneTerm { place: delta, weight: task as u32 })
    };
    (0..request.network.tasks.len()).map(of_task).unzip()
}
