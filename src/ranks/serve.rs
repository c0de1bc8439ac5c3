//! A rank that serves the leader with its engine.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::exchange::Exchanging;
use super::net::{Net, receive};
use super::order::{Order, Results, told};
use super::wire::Pen;
use crate::schedule::{Engine, Program};

/// Does what the leader asks for until it says that all has ended; gives its exit code, 0 where all
/// went well. `open` makes an engine for a program, and names what computes; on a second line where
/// that is.
///
/// # Errors
/// Errors of the engine, which the leader hears as well; 70 if it does not answer any more.
pub fn serve(
    net: &Arc<dyn Net>,
    open: &mut dyn FnMut(Program) -> Result<(Box<dyn Engine>, String)>,
) -> Result<u8> {
    let mut engine: Option<Exchanging> = None;
    loop {
        let order = Order::read(&receive(&**net, 0, net.patience())?)?;
        match order {
            Order::Beat => {}
            Order::Ready => net.send(0, told(Ok(&[])))?,
            Order::End(code, incomplete) => {
                if incomplete {
                    net.lost().give_up(&[0], "lost a rank");
                }
                return Ok(code);
            }
            Order::Forget => engine = None,
            Order::Program(program) => {
                engine = None;
                let mut name = String::new();
                let made = Exchanging::new(net, &program, &mut |program| {
                    let (engine, named) = open(program)?;
                    name = named;
                    Ok(engine)
                });
                let answer = made.map(|made| engine = Some(made)).map(|()| name.into_bytes());
                net.send(0, told(answer.as_deref()))?;
            }
            order => {
                let Some(engine) = &mut engine else {
                    return Err(anyhow!("the leader asks for work before it has sent a program"));
                };
                obey(&**net, engine, order)?;
            }
        }
    }
}

/// Does what needs an engine.
fn obey(net: &dyn Net, engine: &mut Exchanging, order: Order) -> Result<()> {
    let (answers, done) = match order {
        Order::Upload { buffer, first, words } => {
            (false, engine.upload(buffer, first, &words).map(|()| Vec::new()))
        }
        Order::Work { work, slices, answers } => {
            let done = engine.submit_work(&work, &slices).and_then(|()| engine.collect(true));
            let not_finite = engine.not_finite();
            (answers, done.map(|results| Results { results, not_finite }.bytes()))
        }
        Order::Compare(buffer, steps) => {
            (false, engine.compare(buffer, steps).map(|()| Vec::new()))
        }
        Order::Read(slice) => {
            let words = engine.words(slice);
            let bytes = words.map(|words| {
                let mut pen = Pen::default();
                pen.words(&words);
                pen.0
            });
            (true, bytes)
        }
        Order::Program(_) | Order::Forget | Order::Ready | Order::Beat | Order::End(..) => {
            (false, Ok(Vec::new()))
        }
    };
    if answers {
        return net.send(0, told(done.as_deref()));
    }
    done.map(drop).map_err(|error| engine.tell(error))
}
