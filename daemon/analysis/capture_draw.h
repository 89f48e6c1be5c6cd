/* The drawing words of the pictures. */
#ifndef LVN_DAEMON_ANALYSIS_CAPTURE_DRAW_H
#define LVN_DAEMON_ANALYSIS_CAPTURE_DRAW_H

#include "model/draw/draw.h"

#endif
