/* svg.c: pieces of an SVG picture and its frame with both palettes. */
#include "gallery/svg.h"

#include <string.h>

#include "explain/doc.h"

/* Average width of a character over its size, in a wide sans-serif face. */
#define CHARACTER 0.585
#define LEADING   1.38

static const char *const classes[] = {"plain", "att", "win", "sta", "ffn",
                                      "exp",   "nor", "cac", "emb", "grp"};

/* Fills of the classes, text, faint text, lines, ground; light, then dark. */
static const char *const light[] = {"#ffffff", "#cfe2ff", "#d9f2e6", "#fde2c8", "#e8dcff",
                                    "#f6d5e5", "#eceff3", "#fff3bf", "#e2e8f0", "#f7f9fc",
                                    "#1b2330", "#566173", "#7a8699", "#ffffff"};
static const char *const dark[] = {"#1f2733", "#1f4a86", "#1f5f47", "#7a4a1d", "#4d3a80",
                                   "#7a3357", "#39424f", "#6b5a12", "#3a4656", "#1a212b",
                                   "#e8edf4", "#a9b4c4", "#7f8b9c", "#12171e"};
enum { TEXT = 10, FAINT = 11, LINES = 12, GROUND = 13 };

double zoo_svg_text_width(double size, const char *text)
{
    return (double)zoo_utf8_characters(text, strlen(text)) * size * CHARACTER;
}

void zoo_svg_box(zoo_svg *svg, zoo_rect at, zoo_paint paint)
{
    zoo_out_format(&svg->out,
                   "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                   "rx=\"%s\"/>\n",
                   classes[paint], at.x, at.y, at.w, at.h, at.h > 12 ? "5" : "1.5");
}

void zoo_svg_line(zoo_svg *svg, double x0, double y0, double x1, double y1, bool arrow)
{
    zoo_out_format(&svg->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"%s/>\n", x0, y0,
                   x1, y1, arrow ? " marker-end=\"url(#a)\"" : "");
}

void zoo_svg_text(zoo_svg *svg, double x, double y, double size, const char *how, const char *text)
{
    const char *anchor = how[0] == 'm' ? "middle" : how[0] == 'e' ? "end" : "start";
    const char *style = how[1] == 'b' ? " class=\"b\"" : how[1] == 'f' ? " class=\"f\"" : "";
    zoo_out_format(&svg->out,
                   "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" text-anchor=\"%s\"%s>", x, y,
                   size, anchor, style);
    zoo_out_escaped(&svg->out, text);
    zoo_out_text(&svg->out, "</text>\n");
}

/* Bytes of the next line of at most `width`, its words whole where they fit. */
static size_t next_line(const char *text, double width, double size)
{
    size_t most = (size_t)(width / (size * CHARACTER)), end = 0, shown = 0, space = 0;
    while (text[end] && shown < most) {
        space = text[end] == ' ' ? end : space;
        size_t step = zoo_utf8_length(text + end, strlen(text + end));
        end += step ? step : 1;
        shown++;
    }
    return !text[end] || text[end] == ' ' || !space ? end : space;
}

double zoo_svg_fill(zoo_svg *svg, double x, double y, double width, double size, const char *text)
{
    double used = 0;
    while (*text) {
        char line[400];
        size_t n = next_line(text, width, size);
        (void)snprintf(line, sizeof line, "%.*s", (int)n, text);
        if (svg) {
            zoo_svg_text(svg, x, y + used, size, "s", line);
        }
        used += size * LEADING;
        text += n;
        text += *text == ' ';
    }
    return used;
}

double zoo_svg_fill_height(double width, double size, const char *text)
{
    return zoo_svg_fill(NULL, 0, 0, width, size, text);
}

static void write_palette(zoo_out *to, const char *const *colours)
{
    for (size_t i = 0; i < ZOO_COUNT(classes); i++) {
        zoo_out_format(to, ".%s{fill:%s}", classes[i], colours[i]);
    }
    zoo_out_format(to,
                   "rect{stroke:%s;stroke-width:1}text{fill:%s}.f{fill:%s}line{stroke:%s;"
                   "stroke-width:1.4}.h{fill:%s}.o{fill:%s;stroke:none}circle{fill:%s;stroke:%s}\n",
                   colours[LINES], colours[TEXT], colours[FAINT], colours[LINES], colours[LINES],
                   colours[GROUND], colours[0], colours[LINES]);
}

void zoo_svg_end(const zoo_svg *svg, bool is_dark, const char *title, zoo_out *to)
{
    zoo_out_format(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
        "height=\"%.0f\" role=\"img\" font-family=\"Helvetica, Arial, 'DejaVu Sans', "
        "sans-serif\">\n<title>",
        svg->width, svg->height, svg->width, svg->height);
    zoo_out_escaped(to, title);
    zoo_out_text(to, "</title>\n<style>");
    write_palette(to, is_dark ? dark : light);
    zoo_out_text(to, ".b{font-weight:bold}\n");
    if (!is_dark) {
        zoo_out_text(to, "@media (prefers-color-scheme: dark){");
        write_palette(to, dark);
        zoo_out_text(to, "}\n");
    }
    zoo_out_text(to,
                 "</style>\n<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
                 "markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\"><path class=\"h\" d=\"M0 0 "
                 "L8 4 L0 8 z\"/></marker></defs>\n");
    zoo_out_format(to, "<rect class=\"o\" x=\"0\" y=\"0\" width=\"%.0f\" height=\"%.0f\"/>\n",
                   svg->width, svg->height);
    zoo_out_bytes(to, svg->out.data ? svg->out.data : "", svg->out.n);
    zoo_out_text(to, "</svg>\n");
}
