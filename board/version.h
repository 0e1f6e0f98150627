/*
 * board/version - the version of the product; every --version prints this one
 *
 * Threads:  any.
 */
#ifndef BOARD_VERSION_H
#define BOARD_VERSION_H

#define VERSION "(Chancery) 1.0"

#endif
