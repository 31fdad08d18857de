CREATE ROLE reporter LOGIN PASSWORD 'rpt';
CREATE TABLE orders(id bigserial PRIMARY KEY, note text, at timestamptz DEFAULT now());
INSERT INTO orders(note) SELECT 'order ' || g || ' – ✓' FROM generate_series(1, 1000) g;
GRANT SELECT ON orders TO reporter;
CREATE DATABASE stats;
