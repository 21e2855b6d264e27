use std::time::Instant;
use wasmtime::component::*;
use wasmtime::*;
fn main() {
    for (label, f) in [("default", 0), ("small reservation", 1), ("no guard before", 2), ("dense0", 3)] {
        let mut c = Config::new();
        c.wasm_component_model(true).concurrency_support(false).epoch_interruption(true).native_unwind_info(false);
        if f == 1 { c.memory_reservation(16 << 20).memory_guard_size(0).memory_reservation_for_growth(1<<20); }
        if f == 2 { c.guard_before_linear_memory(false); }
        if f == 3 { c.memory_init_cow(false); }
        let e = Engine::new(&c).unwrap();
        let bytes = std::fs::read("plugins/dist/policy-default.wasm").unwrap();
        let comp = Component::new(&e, &bytes).unwrap();
        let mut l: Linker<()> = Linker::new(&e);
        l.define_unknown_imports_as_traps(&comp).unwrap();
        let pre = l.instantiate_pre(&comp).unwrap();
        let (i1, i2) = {
            let i = comp.get_export_index(None, "floret:policy/compression@0.1.0").unwrap();
            (i, comp.get_export_index(Some(&i), "describe").unwrap())
        };
        let _ = i1;
        let n = 3000;
        let (mut a, mut b, mut d) = (vec![], vec![], vec![]);
        for _ in 0..n {
            let t = Instant::now();
            let mut s = Store::new(&e, ());
            s.set_epoch_deadline(1000);
            let inst = pre.instantiate(&mut s).unwrap();
            a.push(t.elapsed());
            let t = Instant::now();
            let func = inst.get_func(&mut s, i2).unwrap();
            let mut r = [Val::Bool(false)];
            func.call(&mut s, &[], &mut r).unwrap();
            b.push(t.elapsed());
            let t = Instant::now();
            drop(s);
            d.push(t.elapsed());
        }
        for v in [&mut a, &mut b, &mut d] { v.sort(); }
        println!("{label}: inst {:?} call {:?} drop {:?}", a[n/2], b[n/2], d[n/2]);
    }
}
