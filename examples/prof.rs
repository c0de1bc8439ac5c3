use tandem::schedule::Engine;
use tandem::kernels::params::Step;
fn cpu() -> f64 { std::fs::read_dir("/proc/self/task").unwrap().map(|e| std::fs::read_to_string(e.unwrap().path().join("schedstat")).unwrap_or_default().split(' ').next().unwrap().parse::<f64>().unwrap_or(0.0)).sum::<f64>() / 1e6 }
fn main() {
    let gpu = tandem::device::Gpu::open(&Default::default()).unwrap();
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let config = tandem::config::read::from_text(&text, "demo.toml", std::path::Path::new("."), &[]).unwrap();
    let parts = tandem::data::load::load(&config.data, &config.tasks).unwrap();
    let plan = tandem::run::train::Plan::new(config, parts).unwrap();
    let built = plan.build(&gpu.tuning()).unwrap();
    let src = |k: &tandem::kernels::Kernel| { let m = k.module(); let own = std::fs::read_to_string(format!("shaders/{}.wgsl", k.name)).unwrap(); m.replacen(k.source, &own, 1) };
    let mut s = tandem::device::Session::with_sources(gpu, built.program.clone(), src).unwrap();
    let only = std::env::var("ONLY").unwrap_or_default();
    let step = Step { number: 1, rows: 128, inverse_rows: 1.0/128.0, root_correction: 1.0, ..Default::default() };
    for _ in 0..2 { s.submit(0, &[step]).unwrap(); s.collect(true).unwrap(); }
    let (mut total, mut totalw) = (0.0, 0.0);
    for (i, d) in built.program.schedules[0].dispatches.iter().enumerate() {
        if !d.kernel.name.contains(&only) { continue; }
        let (mut best, mut wall) = (f64::MAX, f64::MAX);
        for _ in 0..12 { let c = cpu(); let t = std::time::Instant::now(); s.run_dispatch(0, i, &step, 10).unwrap(); best = best.min((cpu() - c) / 10.0); wall = wall.min(t.elapsed().as_secs_f64() * 100.0); }
        total += best; totalw += wall;
        println!("{:30} {:20} cpu {:7.3} ms  wall {:7.3} ms {:7.2} GF/s {:?}", d.kernel.name, d.label, best, wall, d.flop as f64 / best / 1e6 * 2.0, d.grid);
    }
    println!("cpu {total:.3} wall {totalw:.3}");
}
