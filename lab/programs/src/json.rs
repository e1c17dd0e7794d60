//! JSON both ways: documents as typed values and as trees, changed between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::corpus::Dice;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    note: Option<String>,
    lines: Vec<Line>,
    tags: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    article: String,
    count: u32,
    price: f64,
}

pub(crate) fn run() -> String {
    let mut dice = Dice::new(1);
    let mut output = String::new();
    for document in 0..3 {
        let orders: Vec<Order> = (0..110)
            .map(|id| order(&mut dice, document * 1_000 + id))
            .collect();
        let text = serde_json::to_string_pretty(&orders).expect("orders are JSON");
        let mut tree: Value = serde_json::from_str(&text).expect("we wrote it");
        change(&mut dice, &mut tree);
        let text = tree.to_string();
        let orders: Vec<Order> = serde_json::from_str(&text).expect("still orders");
        output.push_str(&serde_json::to_string(&orders).expect("orders are JSON"));
    }
    output
}

fn order(dice: &mut Dice, id: u64) -> Order {
    let lines = 1 + dice.below(8);
    let tags = dice.below(4);
    Order {
        id,
        customer: dice.words(2),
        note: (dice.below(3) == 0).then(|| dice.sentence()),
        lines: (0..lines).map(|_| line(dice)).collect(),
        tags: (0..tags).map(|_| (dice.word(), dice.words(3))).collect(),
    }
}

fn line(dice: &mut Dice) -> Line {
    Line {
        article: dice.words(2),
        count: 1 + dice.below(9),
        price: f64::from(dice.below(10_000)) / 100.0,
    }
}

/// Drops some orders, adds a line to some and renames the customers of others.
fn change(dice: &mut Dice, tree: &mut Value) {
    let Value::Array(orders) = tree else { return };
    orders.retain(|_| dice.below(10) > 0);
    for order in orders {
        match dice.below(3) {
            0 => order["customer"] = Value::from(dice.words(3)),
            1 => {
                let line = json!({ "article": dice.word(), "count": 1, "price": 0.5 });
                if let Value::Array(lines) = &mut order["lines"] {
                    lines.push(line);
                }
            }
            _ => {}
        }
    }
}
