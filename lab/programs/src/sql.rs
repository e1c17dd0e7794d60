//! SQL parsed into trees, changed and written again.

use core::fmt::Write as _;

use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::corpus::Dice;

pub(crate) fn run() -> String {
    let mut dice = Dice::new(8);
    let mut output = String::new();
    for _ in 0..12 {
        let script: String = (0..12).map(|_| statement(&mut dice)).collect();
        let mut statements: Vec<Statement> =
            Parser::parse_sql(&GenericDialect {}, &script).expect("we wrote it");
        let copies = statements.clone();
        statements.extend(copies.into_iter().step_by(3));
        statements.sort_by_cached_key(ToString::to_string);
        statements.dedup();
        for statement in statements {
            writeln!(output, "{statement};").expect("a String takes all");
        }
    }
    output
}

fn statement(dice: &mut Dice) -> String {
    let (table, column) = (name(dice), name(dice));
    let (number, other) = (dice.below(1_000), name(dice));
    match dice.below(4) {
        0 => format!(
            "SELECT a.{column}, COUNT(*) AS n FROM {table} a JOIN {other} b ON a.id = b.id \
             WHERE a.{column} > {number} AND b.name LIKE '%{other}%' \
             GROUP BY a.{column} HAVING COUNT(*) > 2 ORDER BY n DESC LIMIT {number};\n"
        ),
        1 => format!(
            "INSERT INTO {table} ({column}, {other}) VALUES ({number}, '{other}'), \
             ({number} + 1, NULL);\n"
        ),
        2 => format!(
            "WITH t AS (SELECT * FROM {table} WHERE {column} IN (1, 2, {number})) \
             UPDATE {other} SET {column} = (SELECT MAX({column}) FROM t) WHERE id = {number};\n"
        ),
        _ => format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} VARCHAR({number}) NOT NULL, \
             {other} DECIMAL(10, 2) DEFAULT 0);\n"
        ),
    }
}

/// A name that is no word of SQL.
fn name(dice: &mut Dice) -> String {
    format!("{}_{}", dice.word(), dice.below(50))
}
