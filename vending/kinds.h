/*
 * The kinds of object stores, for vending/objects.c alone.
 * Called by nothing else: users go through pang_objects_open of api/vending.h.
 */
#ifndef PANG_VENDING_KINDS_H
#define PANG_VENDING_KINDS_H

#include "api/vending.h"

/* Files of this machine: vending/file.c. */
extern const pang_objects_ops pang_objects_file;

#endif
