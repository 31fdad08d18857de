CREATE TABLE pages(id int PRIMARY KEY AUTO_INCREMENT, title varchar(80), body mediumblob);
INSERT INTO pages(title, body) SELECT concat('page ', seq), repeat(char(seq % 256), 100) FROM seq_1_to_500;
CREATE VIEW titles AS SELECT title FROM pages;
CREATE TRIGGER stamped BEFORE INSERT ON pages FOR EACH ROW SET NEW.title = trim(NEW.title);
CREATE PROCEDURE count_pages() SELECT count(*) FROM pages;
