/*
 * gallery.h: a folder of static pages about many architectures: one for each release and each card,
 * one for each idea, an index and a family tree.
 *
 * Releases stand in models.d/releases.json, ideas in models.d/ideas.json, cards are the card folder
 * itself. A page needs no script to be read; a little sorts and filters the tables. Memory: all
 * architectures at once, some MiB.
 */
#ifndef ZOO_EXPLAIN_GALLERY_H
#define ZOO_EXPLAIN_GALLERY_H

#include "explain/arch.h"
#include "explain/doc.h"

typedef struct zoo_entry {
    const char *name, *org, *released, *source, *dated_by;
    const char *note;   /* of a card: what is new; or why it is refused */
    char slug[80];      /* its page is r/<slug>.html or c/<slug>.html */
    char why[300];      /* arch null: the reason */
    const cJSON *facts; /* of a release; null for a card */
    double told;        /* KiB of a position as another gallery says; 0: unknown */
    zoo_arch *arch;     /* null: its config cannot be opened */
    uint32_t relative;  /* index of the nearest earlier one; UINT32_MAX: none */
} zoo_entry;

typedef struct zoo_gallery {
    const char *folder; /* of the site */
    char card_dir[4096];
    zoo_cards cards;
    cJSON *releases, *ideas;
    zoo_entry *entries; /* [n_entries]: releases, then cards */
    uint32_t n_entries, n_releases;
    uint32_t n_pages;
    uint64_t n_bytes;
} zoo_gallery;

/* Writes the whole site; n_pages and n_bytes tell how much. ZOO_E_IO names the file. */
zoo_status zoo_gallery_write(zoo_gallery *gallery, const zoo_model_options *options,
                             const char *folder, zoo_error *err);
void zoo_gallery_free(zoo_gallery *gallery);

/* Writes one file of the site and counts it. gallery.c */
zoo_status zoo_gallery_save(zoo_gallery *gallery, const char *path, const zoo_out *text,
                            zoo_error *err);
/* Begins and ends a page; up: "" or "../". gallery_frame.c */
void zoo_gallery_begin(zoo_out *out, const char *title, const char *up);
void zoo_gallery_end(zoo_out *out);
const char *zoo_gallery_style(void);
const char *zoo_gallery_script(void);
/* gallery_pages.c, gallery_index.c, gallery_ideas.c */
zoo_status zoo_gallery_page(zoo_gallery *gallery, uint32_t index, zoo_error *err);
zoo_status zoo_gallery_index(zoo_gallery *gallery, zoo_error *err);
zoo_status zoo_gallery_tree(zoo_gallery *gallery, zoo_error *err);
zoo_status zoo_gallery_ideas(zoo_gallery *gallery, zoo_error *err);
/* "r" or "c": the folder of an entry's page. */
const char *zoo_gallery_part(const zoo_gallery *gallery, uint32_t index);

#endif
