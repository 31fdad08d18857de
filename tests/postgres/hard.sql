-- A database with the hard things in it. Run it as the superuser in an empty database of encoding UTF8.
CREATE SCHEMA "Strange Schema";
CREATE SCHEMA "a.b";
CREATE EXTENSION hstore;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext SCHEMA "Strange Schema";

-- types
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE kinds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    m mood, p pair, pc percent DEFAULT 50, h hstore, j jsonb, x xml, a int[][], r int4range,
    f float8, n numeric, t timestamptz, i interval, b bytea, u uuid DEFAULT gen_random_uuid(),
    ip inet, bits bit varying, c "Strange Schema".citext,
    twice numeric GENERATED ALWAYS AS (pc * 2) STORED
);
INSERT INTO kinds (m, p, h, j, x, a, r, f, n, t, i, b, ip, bits, c)
SELECT (ARRAY['sad', 'ok', 'it''s "fine"']::mood[])[i % 3 + 1], ROW(i, E'a\tb\\c\nd\r' || i)::pair,
       hstore('k' || i, NULL), jsonb_build_object('i', i, 's', E'\u20ac \\ " '' '), '<a b="c">d</a>',
       ARRAY[[i, 2], [3, NULL]], int4range(i, i + 5), 'NaN', 1e-300 * i, '1970-01-01 00:00:00+00',
       make_interval(secs => i), decode(md5(i::text), 'hex'), '10.0.0.1/8', B'1011', 'CaSe'
FROM generate_series(1, 200) i;

-- rows that look like the end of rows
CREATE TABLE "Strange Schema"."odd "" name
with a line" ("col "" one" text, "select" text);
INSERT INTO "Strange Schema"."odd "" name
with a line" VALUES ('\.', E'\\.\n\\.'), (E'\n', E'\r\n'), ('\N', NULL), ('', ''), (E'\\\\.', ';'),
    ('-- PostgreSQL database dump complete', '$$');
CREATE TABLE "a.b"."c" (x int);
INSERT INTO "a.b"."c" VALUES (1), (2);
CREATE TABLE one_column (t text);
INSERT INTO one_column VALUES (''), ('\.'), (NULL), (E'\n'), ('x');
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE empty_table (x int);
CREATE UNLOGGED TABLE unlogged (x int);
INSERT INTO unlogged SELECT generate_series(1, 7);
CREATE TABLE "ключ" ("значение" text COLLATE "C", k text);
INSERT INTO "ключ" SELECT repeat('ж', i), chr(8364) FROM generate_series(1, 50) i;
COMMENT ON TABLE "ключ" IS 'a comment
COPY public.one_column (t) FROM stdin;
of several lines
\.
';

-- texts that look like statements
CREATE FUNCTION copycat() RETURNS text LANGUAGE sql AS $body$
SELECT '
COPY public.empty_table (x) FROM stdin;
1
\.
-- PostgreSQL database dump complete
'::text; -- a comment $$ with '
/* and ' another /* nested " */ */
$body$;
CREATE FUNCTION atomic(int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 + 1; SELECT $1 * 2; END;
CREATE VIEW slashes AS SELECT E'it''s \\ \' ; "x' AS a, 4 / 2 * 3 - -1 AS b, U&'\0441' AS c;

-- partitions
CREATE TABLE log (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE log_2024 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE log_2025 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (what);
CREATE TABLE log_2025_a PARTITION OF log_2025 FOR VALUES IN ('a', 'b');
CREATE TABLE log_rest PARTITION OF log DEFAULT;
INSERT INTO log SELECT '2023-12-01'::date + i * 3, (ARRAY['a', 'b'])[i % 2 + 1] FROM generate_series(0, 249) i;
CREATE INDEX ON log (at);

-- inheritance
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE child (age int) INHERITS (parent);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 3), (3, 'd', 4);

-- foreign keys in a cycle
CREATE TABLE hen (id int PRIMARY KEY, egg int);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self);
BEGIN;
INSERT INTO hen VALUES (1, 1), (2, 2);
INSERT INTO egg VALUES (1, 2), (2, 1);
COMMIT;
INSERT INTO self VALUES (1, 2), (2, 3), (3, 1);

-- views on views, rules, triggers, policies
CREATE VIEW v1 AS SELECT id, name FROM parent;
CREATE VIEW v2 AS SELECT count(*) AS n FROM v1;
CREATE MATERIALIZED VIEW mv AS SELECT n, copycat() AS t FROM v2;
CREATE UNIQUE INDEX ON mv (n);
CREATE MATERIALIZED VIEW mv_empty AS SELECT 1 AS one WITH NO DATA;
CREATE RULE keep AS ON DELETE TO parent DO INSTEAD (SELECT 1; SELECT ';');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION touch();
CREATE INDEX ON kinds USING gin (h);
CREATE INDEX ON kinds USING gist (r);
ALTER TABLE kinds ADD EXCLUDE USING gist (id WITH =, r WITH &&);

-- sequences
CREATE SEQUENCE counter START 5 INCREMENT 3 MINVALUE -10 CYCLE;
SELECT setval('counter', 1001, false);
CREATE SEQUENCE untouched;
CREATE TABLE old_style (id serial, x int);
INSERT INTO old_style (x) SELECT generate_series(1, 11);

-- large objects
SELECT lo_from_bytea(4711, decode(repeat('00ff5c2e0a', 4000), 'hex'));
SELECT lo_from_bytea(4712, '');
SELECT lo_from_bytea(4713, convert_to(E'\\.\nCOPY public.c (x) FROM stdin;\n', 'UTF8'));
COMMENT ON LARGE OBJECT 4711 IS 'a large '' object';

-- statistics, publications, event triggers, text search
CREATE STATISTICS parent_stats ON id, name FROM parent;
CREATE PUBLICATION pub FOR TABLE parent;
CREATE TEXT SEARCH CONFIGURATION search (COPY = simple);
CREATE COLLATION loud (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE shouting (word text COLLATE loud UNIQUE);
INSERT INTO shouting VALUES ('a'), ('b');
