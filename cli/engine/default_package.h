/* Where the model package is when none is named: beside the installed program, or in the source tree of a build. */
#ifndef LVN_CLI_ENGINE_DEFAULT_PACKAGE_H
#define LVN_CLI_ENGINE_DEFAULT_PACKAGE_H

#include "base/error.h"
#include "base/file.h"

#ifdef __cplusplus
extern "C" {
#endif

LVN_MUST_CHECK bool lvn_cli_default_package(char ret_path[LVN_PATH_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
