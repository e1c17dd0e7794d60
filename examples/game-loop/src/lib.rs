//! A game without pictures: asteroids drift, collide and break, sixty times a second. The world is an entity component
//! system, hecs, which allocates as it likes. What a frame needs for itself alone, who is where and who meets whom, is in a
//! scope and gone at the frame's end.

use std::cell::UnsafeCell;

use alligator_alloc::{AlligatorAlloc, Growth, WasmMemory};
use alligator_rt::{Frame, Frames};
use hecs::{Entity, World};

/// The memory grows in `start`, and never in a frame.
struct AtStart;

impl Growth for AtStart {
    const ON_DEMAND: bool = false;
    const HAS_HOOK: bool = false;
}

type Heap = AlligatorAlloc<WasmMemory<AtStart>>;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Heap = AlligatorAlloc::new();

/// The game's memory.
const HEAP_BYTES: usize = 16 << 20;

/// What a frame has without asking the heap.
const FRAME_BYTES: usize = 256 << 10;

/// The field is a square of so many units, closed to itself, and has so many cells on a side.
const FIELD: f32 = 1024.0;
const CELLS: usize = 32;

/// With fewer asteroids than this a new one comes, with more none breaks into two.
const ASTEROIDS_MIN: u32 = 250;
const ASTEROIDS_MAX: u32 = 1000;

#[derive(Clone, Copy)]
struct Position(f32, f32);

#[derive(Clone, Copy)]
struct Velocity(f32, f32);

struct Asteroid {
    radius: f32,
    /// Its outline, a block of its own, which would be drawn.
    _outline: Box<[(f32, f32)]>,
}

/// A name that some of them have.
struct Name(String);

struct Game {
    world: World,
    frames: Frames<'static, Heap>,
    random: u32,
    names_told: u64,
}

struct Single(UnsafeCell<Option<Game>>);

// SAFETY: the module's memory is not shared.
unsafe impl Sync for Single {}

static GAME: Single = Single(UnsafeCell::new(None));

#[expect(clippy::mut_from_ref, reason = "one export at a time calls it, once")]
fn game() -> &'static mut Option<Game> {
    // SAFETY: the host calls one export at a time, and each calls this once.
    unsafe { &mut *GAME.0.get() }
}

/// Brings in all the memory, and what frames reserve. 1 if it is there.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
pub extern "C" fn start() -> u32 {
    if !ALLOCATOR.reserve(HEAP_BYTES) {
        return 0;
    }
    *game() = Frames::new(&ALLOCATOR, FRAME_BYTES).map(|frames| Game {
        world: World::new(),
        frames,
        random: 1,
        names_told: 0,
    });
    u32::from(game().is_some())
}

/// Leaves the level and enters another one, of eight that differ. The same one is played the same each time.
#[unsafe(no_mangle)]
pub extern "C" fn level(number: u32) {
    if let Some(game) = game() {
        game.world = World::new();
        game.random = 1 + number % 8;
        for _ in 0..200 + 50 * (number % 8) {
            let position = Position(game.number() * FIELD, game.number() * FIELD);
            let radius = 4.0 + 12.0 * game.number();
            game.spawn(position, radius);
        }
    }
}

/// A sixtieth of a second. Returns how many asteroids there are.
#[unsafe(no_mangle)]
pub extern "C" fn frame() -> u32 {
    game().as_mut().map_or(0, Game::frame)
}

/// Bytes that the frame before has held beyond what is reserved.
#[unsafe(no_mangle)]
pub extern "C" fn frame_bytes_beyond() -> usize {
    let game = game();
    let held = game.as_mut().map(|game| game.frames.begin().held_bytes());
    held.unwrap_or(0).saturating_sub(FRAME_BYTES)
}

impl Game {
    /// A number from 0 to 1.
    fn number(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        f32::from((self.random >> 8) as u16) / 65_536.0
    }

    fn spawn(&mut self, position: Position, radius: f32) {
        let velocity = Velocity(self.number() * 4.0 - 2.0, self.number() * 4.0 - 2.0);
        let corners = 8 + (self.number() * 40.0) as usize;
        let _outline = (0..corners)
            .map(|corner| (radius * corner as f32, radius * self.number()))
            .collect();
        let asteroid = Asteroid { radius, _outline };
        if self.number() < 0.25 {
            let name = Name(format!("asteroid {corners} at {:.1}", position.0));
            self.world.spawn((position, velocity, asteroid, name));
        } else {
            self.world.spawn((position, velocity, asteroid));
        }
    }

    fn frame(&mut self) -> u32 {
        for (position, velocity) in self.world.query_mut::<(&mut Position, &Velocity)>() {
            position.0 = (position.0 + velocity.0).rem_euclid(FIELD);
            position.1 = (position.1 + velocity.1).rem_euclid(FIELD);
        }
        let frame = self.frames.begin();
        let Some(broken) = collisions(&frame, &mut self.world) else {
            return 0;
        };
        let mut born = Vec::new();
        for &mut (entity, position) in broken.iter_mut() {
            if let Ok(asteroid) = self.world.remove_one::<Asteroid>(entity) {
                if let Ok(name) = self.world.get::<&Name>(entity) {
                    self.names_told += name.0.len() as u64;
                }
                let half = asteroid.radius / 2.0;
                if half > 2.0 && self.world.len() < ASTEROIDS_MAX {
                    born.extend([(position, half); 2]);
                }
                let _ = self.world.despawn(entity);
            }
        }
        drop(frame);
        for (position, radius) in born {
            self.spawn(position, radius);
        }
        if self.world.len() < ASTEROIDS_MIN {
            let position = Position(self.number() * FIELD, self.number() * FIELD);
            self.spawn(position, 16.0);
        }
        self.world.len()
    }
}

/// The asteroids that touch another one, each once, and where they are. `None` if the frame's memory does not suffice.
fn collisions<'f>(
    frame: &'f Frame<'_, '_, Heap>,
    world: &mut World,
) -> Option<&'f mut [(Entity, Position)]> {
    type Body = (Entity, Position, f32);
    let mut query = world.query::<(Entity, &Position, &Asteroid)>();
    let bodies = query
        .iter()
        .map(|(entity, position, asteroid)| (entity, *position, asteroid.radius));
    let bodies: &mut [Body] = frame.collect(bodies)?;
    let cell_of = |position: &Position| {
        let cell = |place: f32| ((place / FIELD * CELLS as f32) as usize).min(CELLS - 1);
        cell(position.1) * CELLS + cell(position.0)
    };
    bodies.sort_unstable_by_key(|(_, position, _)| cell_of(position));
    // Where each cell's bodies begin, and the end.
    let mut body = 0;
    let starts = frame.collect((0..=CELLS * CELLS).map(|cell| {
        while body < bodies.len() && cell_of(&bodies[body].1) < cell {
            body += 1;
        }
        body
    }))?;
    let touches = |(_, one, radius): &Body, (_, other, radius_too): &Body| {
        let (x, y) = (one.0 - other.0, one.1 - other.1);
        x * x + y * y < (radius + radius_too) * (radius + radius_too)
    };
    frame.collect(bodies.iter().enumerate().filter_map(|(index, body)| {
        let cell = cell_of(&body.1);
        let near = starts[cell]..starts[cell + 1];
        let is_hit = near
            .into_iter()
            .any(|other| other != index && touches(body, &bodies[other]));
        is_hit.then_some((body.0, body.1))
    }))
}
