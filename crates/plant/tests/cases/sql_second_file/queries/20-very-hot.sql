CREATE STREAM very_hot AS SELECT asset, temp FROM hot WHERE temperature > 90 EMIT CHANGES;
