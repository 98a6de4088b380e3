-- error: SELEC: `SELEC` cannot stand here [expected `CREATE`, `INSERT`, `SELECT`
-- error: FORM: `FORM` cannot stand here
-- error: EMITT: `EMITT` cannot stand here [expected `JOIN`, `WINDOW`, `WHERE`, `GROUP`, `PARTITION`, `HAVING`, `EMIT`, `LIMIT`, `;`] did you mean `EMIT`?
-- error: a text is not closed
SELEC * FROM press_telemetry;
SELECT a b FORM press_telemetry EMIT CHANGES;
SELECT * FROM press_telemetry p EMITT CHANGES;
SELECT 'open FROM press_telemetry;
