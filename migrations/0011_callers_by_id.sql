-- Idempotency keys were those of a caller's name, which a new key may have again: who had it then is who has them.
UPDATE OR IGNORE idempotency SET caller = coalesce(
    (SELECT id FROM keys WHERE name = caller AND created_ms <= claimed_ms ORDER BY created_ms DESC LIMIT 1), caller
);
