/*
 * Ids: UUIDs (RFC 9562) as sixteen bytes and as text.
 * Called by everything that names a thing. Threads: values.
 */
#ifndef PANG_API_ID_H
#define PANG_API_ID_H

#include "api/env.h"
#include "api/str.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint8_t bytes[16];
} pang_id;

#define PANG_ID_TEXT 36 /* "01890a5d-ac96-774b-bcce-b302099a8057" */
#define PANG_ID_HEX 32  /* the same without hyphens: the form in storage keys */

/* Version 7: milliseconds first, so that ids made later sort later. For rows and requests. */
pang_id pang_id_v7(const pang_env *env);
/* Version 4: nothing but chance. For table and view uuids and file names. */
pang_id pang_id_v4(const pang_env *env);
/* Lower-case text with hyphens and a NUL behind. */
void pang_id_text(pang_id id, char to[PANG_ID_TEXT + 1]);
/* Lower-case hex without hyphens and a NUL behind. */
void pang_id_hex(pang_id id, char to[PANG_ID_HEX + 1]);
/* Either form, any case; false on anything else. */
bool pang_id_parse(pang_str text, pang_id *ret);
bool pang_id_equal(pang_id a, pang_id b);
/* The nil UUID: the tenant of the evaluation mode. */
bool pang_id_is_nil(pang_id id);

#ifdef __cplusplus
}
#endif
#endif
