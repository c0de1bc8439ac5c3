//! `loss_weights`: the methods whose formula is a line. `objective::balance` names their papers.

use std::cell::RefMut;

use crate::kernels::params::{NONE, Solve, solve};
use crate::reference::Arguments;
use crate::reference::real::Real;
use crate::reference::twins::dense_forward::hash;

/// The task numbers that take part, and all that the formulas read and write.
struct Formulas<'a, T: Real> {
    a: &'a Arguments<'a, T>,
    p: Solve,
    gramian: Vec<T>,
    preferences: Vec<T>,
    balance: Vec<T>,
    partials: RefMut<'a, Vec<T>>,
    next: RefMut<'a, Vec<T>>,
    active: Vec<usize>,
}

pub(in crate::reference::twins) fn loss_weights<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let preferences = a.numbers("preferences").clone();
    let partials = a.numbers_mut("partials");
    let takes_part = |task: &usize| {
        let labels = p.inverses == NONE || partials[p.inverses as usize + task].value() > 0.0;
        preferences[*task].value() > 0.0 && labels
    };
    let active: Vec<usize> = (0..p.tasks as usize).filter(takes_part).collect();
    let mut formulas = Formulas {
        a,
        p,
        gramian: a.numbers("gramian").clone(),
        balance: a.numbers("balance").clone(),
        preferences,
        partials,
        next: a.numbers_mut("next_balance"),
        active,
    };
    formulas.run();
}

impl<T: Real> Formulas<'_, T> {
    fn tasks(&self) -> usize {
        self.p.tasks as usize
    }

    fn k(&self) -> T {
        T::of(self.active.len().max(1) as f64)
    }

    fn loss(&self, task: usize) -> T {
        self.gramian[self.p.losses as usize + task]
    }

    /// A loss whose logarithm is taken.
    fn positive_loss(&self, task: usize) -> T {
        let loss = self.loss(task);
        if loss.value().is_nan() || loss.value() <= 0.0 || !loss.value().is_finite() {
            self.a.raise(self.p.flag + task as u32);
        }
        loss
    }

    /// Likewise, at least 1e-8.
    fn floored_loss(&self, task: usize) -> T {
        let loss = self.positive_loss(task);
        if loss.value() > 1e-8 { loss } else { T::of(1e-8) }
    }

    /// The squared norm of the gradient of a task.
    fn square(&self, task: usize) -> T {
        self.gramian[self.p.scaled as usize + task * (self.tasks() + 1)]
    }

    fn state(&self, number: usize, task: usize) -> T {
        self.balance[number * self.tasks() + task]
    }

    fn set_state(&mut self, number: usize, task: usize, value: T) {
        let place = number * self.tasks() + task;
        self.next[place] = value;
    }

    /// Stores the weights of the tasks that take part; the others get none.
    fn set_weights(&mut self, weights: &[T]) {
        let (first, tasks) = (self.p.weights as usize, self.tasks());
        for task in 0..tasks {
            let place = self.active.iter().position(|active| *active == task);
            let weight = place.map_or(T::of(0.0), |place| weights[place]);
            self.partials[first + task] = weight;
            self.next[task] = weight;
        }
    }

    fn softmax(values: &[T]) -> Vec<T> {
        let peak = values.iter().fold(f64::NEG_INFINITY, |peak, x| peak.max(x.value()));
        let powers: Vec<T> = values.iter().map(|x| (*x - T::of(peak)).exp()).collect();
        let sum = powers.iter().fold(T::of(0.0), |sum, power| sum + *power);
        powers.into_iter().map(|power| power / sum).collect()
    }

    fn run(&mut self) {
        let (method, a) = (self.p.method, T::from(self.p.a));
        if method != solve::FAMO_AFTER {
            for i in 0..self.p.state as usize {
                self.next[i] = self.balance[i];
            }
        }
        let active = self.active.clone();
        let each = |of: &dyn Fn(usize) -> T| active.iter().map(|t| of(*t)).collect::<Vec<T>>();
        let k = self.k();
        match method {
            solve::LOG => {
                let weights = each(&|t| T::of(1.0) / self.floored_loss(t));
                self.set_weights(&weights);
            }
            solve::GEOMETRIC => {
                let logarithms = each(&|t| self.floored_loss(t).ln());
                let mean = logarithms.iter().fold(T::of(0.0), |sum, x| sum + *x) / k;
                let weights: Vec<T> = logarithms.iter().map(|x| (mean - *x).exp() / k).collect();
                self.set_weights(&weights);
            }
            solve::UNCERTAINTY => {
                let inverses = each(&|t| (-self.state(1, t)).exp());
                for (&task, &inverse) in active.iter().zip(&inverses) {
                    let gradient = T::of(0.5) * (T::of(1.0) - inverse * self.loss(task));
                    self.descend(task, gradient);
                }
                let weights: Vec<T> = inverses.iter().map(|x| T::of(0.5) * *x).collect();
                self.set_weights(&weights);
            }
            solve::IMTL_L => {
                let weights = each(&|t| self.state(1, t).exp());
                for (&task, &weight) in active.iter().zip(&weights) {
                    self.descend(task, weight * self.loss(task) - T::of(1.0));
                }
                self.set_weights(&weights);
            }
            solve::DWA => {
                let ratios: Vec<T> =
                    (0..self.tasks()).map(|task| self.turn_epoch(task) / a).collect();
                let weights = Self::softmax(&each(&|t| ratios[t]));
                self.set_weights(&weights.into_iter().map(|w| k * w).collect::<Vec<T>>());
            }
            solve::RANDOM => {
                let weights = Self::softmax(&each(&|t| self.normal(t)));
                self.set_weights(&weights);
            }
            solve::STCH => {
                let sum = active.iter().fold(T::of(0.0), |sum, t| sum + self.preferences[*t]);
                let weights =
                    Self::softmax(&each(&|t| self.preferences[t] / sum * self.loss(t) / a));
                self.set_weights(&weights.into_iter().map(|w| w / sum).collect::<Vec<T>>());
            }
            solve::FAMO => {
                let z = Self::softmax(&each(&|t| self.state(1, t)));
                let losses = each(&|t| self.positive_loss(t) + T::of(1e-8));
                let parts: Vec<T> = z.iter().zip(&losses).map(|(z, loss)| *z / *loss).collect();
                let sum = parts.iter().fold(T::of(0.0), |sum, part| sum + *part);
                self.set_weights(&parts.into_iter().map(|part| part / sum).collect::<Vec<T>>());
            }
            solve::FAMO_AFTER => self.famo_after(),
            solve::EXCESS_MTL => self.excess_mtl(),
            solve::DB_MTL => {
                let squares = each(&|t| {
                    self.positive_loss(t);
                    self.square(t)
                });
                let most = squares.iter().copied().fold(T::of(0.0), |most, square| {
                    if square.value() > most.value() { square } else { most }
                });
                let weight = |square: &T| match square.value() > 0.0 {
                    true => (most / *square).sqrt(),
                    false => T::of(0.0),
                };
                let weights: Vec<T> = squares.iter().map(weight).collect();
                self.set_weights(&weights);
            }
            _ => self.gradnorm(),
        }
    }

    /// One step of descent of what is learned, by the rule of the run.
    fn descend(&mut self, task: usize, gradient: T) {
        let step = self.a.step();
        let most = f64::from(self.p.a);
        self.descend_by(
            task,
            gradient,
            (T::from(step.step_size), T::from(step.root_correction)),
            most,
        );
    }

    fn descend_by(&mut self, task: usize, gradient: T, (size, root): (T, T), most: f64) {
        let [value, m, v] = [1, 2, 3].map(|number| self.state(number, task));
        let (beta1, beta2) = (T::from(self.p.beta1), T::from(self.p.beta2));
        let rest1 = T::from(self.p.one_minus_beta1);
        let rest2 = T::from(self.p.one_minus_beta2);
        let moved = match self.p.rule {
            1 => {
                let moved = beta1 * m + gradient;
                self.set_state(2, task, moved);
                value - size * moved
            }
            _ => {
                let first = beta1 * m + rest1 * gradient;
                let second = beta2 * v + rest2 * gradient * gradient;
                self.set_state(2, task, first);
                self.set_state(3, task, second);
                value - size * first / (second.sqrt() * root + T::from(self.p.eps))
            }
        };
        let clamped =
            if moved.value().abs() > most { T::of(most.copysign(moved.value())) } else { moved };
        self.set_state(1, task, clamped);
    }

    /// Adds the loss to its epoch, and returns the ratio of the last two epochs.
    fn turn_epoch(&mut self, task: usize) -> T {
        let number = self.a.step().number;
        let is_first = number > 1 && (number - 1).is_multiple_of(self.p.per_epoch);
        let [mut sum, mut seen, mut last, mut before] = [1, 2, 3, 4].map(|n| self.state(n, task));
        if is_first {
            before = last;
            last = if seen.value() > 0.0 { sum / seen } else { last };
            (sum, seen) = (T::of(0.0), T::of(0.0));
        }
        if self.active.contains(&task) {
            sum += self.loss(task);
            seen += T::of(1.0);
        }
        [(1, sum), (2, seen), (3, last), (4, before)]
            .into_iter()
            .for_each(|(number, value)| self.set_state(number, task, value));
        let is_known = last.value() > 0.0 && before.value() > 0.0;
        if is_known { last / before } else { T::of(1.0) }
    }

    /// A normal number, by Marsaglia's polar method ("Improving methods by which normal variables
    /// are generated", 1964).
    fn normal(&self, task: usize) -> T {
        let step = self.a.step();
        let draw = |i: u32| {
            let bits = hash([step.key_low, step.key_high, task as u32, 0xa000_0000 + i]) >> 8;
            f64::from(bits) / f64::from(1 << 23) - 1.0
        };
        for i in 0..32 {
            let (x, y) = (draw(2 * i), draw(2 * i + 1));
            let s = x * x + y * y;
            if s < 1.0 && s > 0.0 {
                let s = T::of(x) * T::of(x) + T::of(y) * T::of(y);
                return T::of(x) * (T::of(-2.0) * s.ln() / s).sqrt();
            }
        }
        T::of(0.0)
    }

    fn famo_after(&mut self) {
        let active = self.active.clone();
        let xi: Vec<T> = active.iter().map(|task| self.state(1, *task)).collect();
        let z = Self::softmax(&xi);
        let fall = |task: usize| {
            let after = self.gramian[self.p.losses as usize + self.tasks() + task];
            if !after.value().is_finite() {
                return T::of(0.0);
            }
            let after = if after.value() > 0.0 { after } else { T::of(0.0) };
            ((self.loss(task) + T::of(1e-8)) / (after + T::of(1e-8))).ln()
        };
        let falls: Vec<T> = active.iter().map(|task| fall(*task)).collect();
        let mean = z.iter().zip(&falls).fold(T::of(0.0), |sum, (z, fall)| sum + *z * *fall);
        let number = f64::from(self.a.step().number);
        let [beta1, beta2] =
            [self.p.one_minus_beta1, self.p.one_minus_beta2].map(|rest| 1.0 - f64::from(rest));
        let size = T::of(f64::from(self.p.a) / (1.0 - beta1.powf(number)));
        let root = T::of(1.0 / (1.0 - beta2.powf(number)).sqrt());
        for (i, &task) in active.iter().enumerate() {
            let gradient = z[i] * (falls[i] - mean) + T::from(self.p.b) * xi[i];
            self.descend_by(task, gradient, (size, root), f64::INFINITY);
        }
    }

    fn excess_mtl(&mut self) {
        let (active, k) = (self.active.clone(), self.k());
        let mut logarithms = Vec::new();
        for &task in &active {
            let start = self.state(1, task);
            let mut gain = T::of(0.0);
            if start.value() > 0.0 {
                gain = T::from(self.p.a) * self.square(task) / start;
            } else {
                let square = self.square(task);
                self.set_state(1, task, square);
            }
            let weight = self.state(0, task);
            let weight = if weight.value() > 1e-30 { weight } else { T::of(1e-30) };
            logarithms.push(weight.ln() + gain);
        }
        let before: Vec<T> = (0..self.tasks()).map(|task| self.state(0, task)).collect();
        let weights = Self::softmax(&logarithms);
        self.set_weights(&weights.into_iter().map(|w| k * w).collect::<Vec<T>>());
        // A task that does not take part keeps its share.
        for task in (0..self.tasks()).filter(|task| !active.contains(task)) {
            self.next[task] = before[task];
        }
    }

    fn gradnorm(&mut self) {
        let (active, k) = (self.active.clone(), self.k());
        let mut starts = Vec::new();
        for &task in &active {
            let start = self.state(1, task);
            let start = if start.value() > 0.0 { start } else { self.loss(task) };
            self.set_state(1, task, start);
            starts.push(start);
        }
        let norms: Vec<T> = active.iter().map(|task| self.square(*task).sqrt()).collect();
        let rates: Vec<T> =
            active.iter().zip(&starts).map(|(task, start)| self.loss(*task) / *start).collect();
        let mean = |values: &[T]| values.iter().fold(T::of(0.0), |sum, x| sum + *x / k);
        let (mean_norm, mean_rate) = (mean(&norms), mean(&rates));
        let mut weights = Vec::new();
        for (i, &task) in active.iter().enumerate() {
            let rate = rates[i] / mean_rate;
            let wanted = match rate.value() > 0.0 {
                true => mean_norm * (T::from(self.p.a) * rate.ln()).exp(),
                false => T::of(0.0),
            };
            let sign = match norms[i].partial_cmp(&wanted) {
                Some(std::cmp::Ordering::Greater) => 1.0,
                Some(std::cmp::Ordering::Less) => -1.0,
                _ => 0.0,
            };
            let weight = self.state(0, task);
            let moved = weight - T::from(self.p.b) * norms[i] / weight * T::of(sign);
            weights.push(if moved.value() > 1e-3 { moved } else { T::of(1e-3) });
        }
        let sum = weights.iter().fold(T::of(0.0), |sum, weight| sum + *weight);
        for (&task, weight) in active.iter().zip(weights) {
            self.next[task] = weight * k / sum;
        }
    }
}
