/*
 * Base64 (RFC 4648), strict both ways: one text per bytes, so that a token cannot be written in
 * two ways. Called by whatever carries bytes in text. Threads: any, no state.
 */
#ifndef PANG_API_BASE64_H
#define PANG_API_BASE64_H

#include "api/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PANG_BASE64,     /* + and /, padded */
    PANG_BASE64_URL, /* - and _, without padding: JOSE, page tokens */
} pang_base64_form;

/* The text of `bytes`, NUL-terminated, in arena; NULL ptr without memory. */
pang_str pang_base64_encode(pang_str bytes, pang_base64_form form, pang_arena *arena);
/* False for a byte outside of the alphabet, wrong padding, bits left over that are not zero, or
 * without memory (the arena is then marked). */
bool pang_base64_decode(pang_str text, pang_base64_form form, pang_arena *arena, pang_str *ret);

#ifdef __cplusplus
}
#endif
#endif
