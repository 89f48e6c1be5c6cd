/* The environment that the libraries of the process read before main() begins. */
#ifndef LVN_BASE_RUNTIME_H
#define LVN_BASE_RUNTIME_H

#ifdef __cplusplus
extern "C" {
#endif

/* Call first in main() of every program that computes. libgomp (under libtorch and OpenBLAS) lets idle threads spin,
 * which on a shared machine costs a factor of ten and more; it reads its settings when it is loaded, so the process
 * sets OMP_WAIT_POLICY to PASSIVE and starts itself anew, once, keeping its id. A policy that the operator has set is
 * left alone. Does not return when it starts anew; when that is impossible the process goes on as it is. Single thread.
 */
void lvn_runtime_prepare(char **argv);

#ifdef __cplusplus
}
#endif
#endif
