//! A pile of boxes and balls in rapier's 2D world: bodies come and go while it is stepped.

use core::fmt::Write as _;

use rapier2d::prelude::*;

use crate::corpus::Dice;

pub(crate) fn run() -> String {
    let mut dice = Dice::new(6);
    let mut world = PhysicsWorld::new();
    world.insert(
        RigidBodyBuilder::fixed(),
        ColliderBuilder::cuboid(50.0, 0.5),
    );
    let mut bodies = Vec::new();
    let mut output = String::new();
    for step in 0..60 {
        if step % 2 == 0 {
            bodies.push(dropped(&mut dice, &mut world));
        }
        if bodies.len() > 24 {
            let oldest = bodies.remove(0);
            world.remove_body(oldest);
        }
        world.step();
        let height: f32 = bodies
            .iter()
            .filter_map(|&handle| world.bodies.get(handle))
            .map(|body| body.translation().y)
            .sum();
        writeln!(output, "{step} {:08x}", height.to_bits()).expect("a String takes all");
    }
    output
}

/// A body above the others.
fn dropped(dice: &mut Dice, world: &mut PhysicsWorld) -> RigidBodyHandle {
    let place = |dice: &mut Dice| f32::from(u8::try_from(dice.below(100)).unwrap_or(0));
    let (x, y) = (place(dice) / 25.0, 2.0 + place(dice) / 25.0);
    let body = RigidBodyBuilder::dynamic().translation(Vector::new(x, y));
    let shape = if dice.below(2) == 0 {
        ColliderBuilder::ball(0.4)
    } else {
        ColliderBuilder::cuboid(0.5, 0.3)
    };
    world.insert(body, shape).0
}
