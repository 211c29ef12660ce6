/*
 * Audit names: the actions and the kinds of resources that the log knows by name.
 * Called by what writes the log and by what asks it. Threads: const.
 */
#ifndef PANG_SERVER_AUDIT_NAMES_H
#define PANG_SERVER_AUDIT_NAMES_H

#include "api/schema.h"

enum { PANG_AUDIT_ACTIONS = 66, PANG_AUDIT_TYPES = 19 };

/* The names that existing clients know, and what each acts on (NULL: told by the call). Rules may
 * have others beside them: "list_tables". */
typedef struct {
    const char *name, *type;
} pang_audit_action;
extern const pang_audit_action pang_audit_actions[PANG_AUDIT_ACTIONS];
extern const char *const pang_audit_types[PANG_AUDIT_TYPES];

/* True for a name of the table, or one that a rule of the schema (may be NULL) has. */
bool pang_audit_is_action(const pang_schema *schema, pang_str name);
bool pang_audit_is_type(pang_str name);

/* The kind that an action is about: by the table, else by the name's second half ("list_views"),
 * else by the resource that the rule checks (Resource of rule.proto; 0: none). Static; never NULL,
 * "" when nothing tells. */
const char *pang_audit_type_of(pang_str action, uint32_t rule_resource);

#endif
