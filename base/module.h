/* Loading a module of the product at run time, for what a process should not link. */
#ifndef LVN_BASE_MODULE_H
#define LVN_BASE_MODULE_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Loads the module at `path`, relative to the folder of the running program, and finds `symbol` in it. The module stays
 * loaded. LVN_ERROR_ENGINE with the loader's reason otherwise. Before any thread exists: sets OMP_WAIT_POLICY, which
 * libgomp reads when it is loaded, where the operator has not. */
LVN_MUST_CHECK bool lvn_module_load(const char *path, const char *symbol, void **ret_symbol, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
