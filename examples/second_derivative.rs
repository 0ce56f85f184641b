//! Second derivatives on the tape: record, differentiate twice, compile, run.

use hindsight::autodiff::Tape;
use hindsight::device::Device;
use hindsight::program::Session;

#[cfg_attr(test, test)]
fn second_derivatives_come_from_the_tape() {
    let mut session = Session::new(&Device::Cpu, 1);
    let (x, result) = (session.state("x", &[3]), session.state("second derivative", &[3]));
    session.write(&x, 0, &[0.0, 1.0, 2.0]);

    let tape = Tape::new();
    let v = tape.load(&x);
    let y = v * v * v * v; // y = x⁴
    let slope = tape.grad(y, v); // 4x³, recorded on the same tape
    tape.assign(&result, tape.grad(slope, v)); // 12x²

    let program = session.compile(&tape);
    session.run(&program, 0..1);
    let found = session.read(&result).remove(0);
    println!("d²(x⁴)/dx² at 0, 1, 2: {found:?}, in {} launch(es)", program.launches().len());
    assert_eq!(found, [0.0, 12.0, 48.0]);
}

#[cfg(not(test))]
fn main() {
    second_derivatives_come_from_the_tape();
}
