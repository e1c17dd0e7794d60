/* SQLite with a database in memory, and no allocator of its own: tables, indexes, joins, aggregates, updates,
   and many statements that are prepared, run and dropped. */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3.h"

static int print_row(void *unused, int columns, char **values, char **names) {
    (void)unused;
    (void)names;
    for (int i = 0; i < columns; i++) {
        printf("%s%s", i == 0 ? "" : "|", values[i] != NULL ? values[i] : "NULL");
    }
    putchar('\n');
    return 0;
}

static void run(sqlite3 *database, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(database, sql, print_row, NULL, &message) != SQLITE_OK) {
        printf("%s\n", message);
        exit(1);
    }
}

static void insert_rows(sqlite3 *database) {
    sqlite3_stmt *statement;
    sqlite3_prepare_v2(database, "INSERT INTO item VALUES (?, ?, ?, ?)", -1, &statement, NULL);
    run(database, "BEGIN");
    unsigned seed = 1;
    for (int i = 0; i < 10000; i++) {
        char name[64];
        seed = seed * 1664525u + 1013904223u;
        int length = snprintf(name, sizeof name, "item %u of a kind %u", seed >> 8, seed % 97);
        sqlite3_bind_int(statement, 1, i);
        sqlite3_bind_text(statement, 2, name, length, SQLITE_TRANSIENT);
        sqlite3_bind_int(statement, 3, (int)(seed % 500));
        sqlite3_bind_double(statement, 4, (seed >> 4) / 1024.0);
        sqlite3_step(statement);
        sqlite3_reset(statement);
    }
    run(database, "COMMIT");
    sqlite3_finalize(statement);
}

/* What a program with an object mapper does: a statement for each object. */
static long long run_statements(sqlite3 *database) {
    long long sum = 0;
    for (int i = 0; i < 8000; i++) {
        char *sql = sqlite3_mprintf(
            "SELECT i.id, i.name || ' / ' || k.label AS title, i.price * %d AS total FROM item AS i"
            " JOIN kind AS k ON k.id = i.kind WHERE i.id BETWEEN %d AND %d AND (i.price > %d OR i.name LIKE '%%%d%%')"
            " ORDER BY total DESC, title LIMIT 3",
            i % 9 + 1, i, i + 4, i % 1000, i % 10);
        sqlite3_stmt *statement;
        if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
            puts(sqlite3_errmsg(database));
            exit(1);
        }
        while (sqlite3_step(statement) == SQLITE_ROW) {
            sum += sqlite3_column_int(statement, 0) + sqlite3_column_bytes(statement, 1);
        }
        sqlite3_finalize(statement);
        sqlite3_free(sql);
    }
    return sum;
}

int main(void) {
    sqlite3 *database;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK) {
        return 1;
    }
    run(database, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, price REAL);"
                  "CREATE TABLE kind (id INTEGER PRIMARY KEY, label TEXT);"
                  "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499)"
                  " INSERT INTO kind SELECT i, printf('kind %03d', i) FROM n;");
    insert_rows(database);
    run(database, "CREATE INDEX by_kind ON item (kind); CREATE INDEX by_name ON item (name);");
    run(database, "SELECT label, count(*), round(sum(price), 2) FROM item JOIN kind ON kind.id = kind"
                  " GROUP BY kind ORDER BY 3 DESC LIMIT 5");
    printf("%lld\n", run_statements(database));
    run(database, "UPDATE item SET name = upper(name) || ' (' || id || ')' WHERE kind % 3 = 0");
    run(database, "DELETE FROM item WHERE id % 5 = 1");
    run(database, "SELECT group_concat(name, ';') FROM (SELECT name FROM item ORDER BY name LIMIT 3)");
    run(database, "SELECT count(*), sum(length(name)) FROM item");
    run(database, "PRAGMA integrity_check");
    sqlite3_close(database);
    return 0;
}
