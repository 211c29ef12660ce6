/*
 * Secrets: what is none. Words that stand in examples, and text that a person made up in a hurry,
 * must not protect anything. Called where a secret comes from outside. Threads: any, no state.
 */
#ifndef PANG_SERVER_SECRETS_H
#define PANG_SERVER_SECRETS_H

#include "api/err.h"

enum { PANG_SECRET_MIN = 32 }; /* bytes of a secret that signs or seals */

/* What stands in examples and manuals, or what everybody types for the time being: made of their
 * words whatever the case of its letters, or counting up. */
bool pang_secret_is_placeholder(pang_str secret);
/* For secrets that a machine should have made. `name` is how the operator knows it. ERRORS:
 * INVALID_ARGUMENT naming it: shorter than PANG_SECRET_MIN, a placeholder,
 * or made of very few different bytes. The secret itself is never in the message. */
PANG_MUST_CHECK pang_code pang_secret_check(pang_str secret, const char *name, pang_err *err);

#endif
