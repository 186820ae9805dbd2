#!/bin/sh
# A picture of a command's output for the README: text on standard input, SVG on standard output.
#
#   demo/run.sh | scripts/terminal-picture.sh "make demo" > docs/demo.svg
set -eu
awk -v command="$1" '
  function colour(line) {
    if (line ~ /equal to the twin/) return "#7ee787"
    return line ~ /^(\$|Server:|Client:)/ ? "#79c0ff" : "#d6dde6"
  }
  function escaped(line) {
    gsub(/&/, "\\&amp;", line); gsub(/</, "\\&lt;", line); gsub(/>/, "\\&gt;", line)
    return line
  }
  BEGIN { lines[n++] = "$ " command }
  { lines[n++] = $0 }
  END {
    for (i = 0; i < n; i++) if (length(lines[i]) > longest) longest = length(lines[i])
    width = 40 + int(7.25 * longest); height = 32 + 18 * n
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"Output of %s\">\n", width, height, width, height, escaped(command)
    printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#10151c\"/>\n", width, height
    print "<g font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"12\" fill=\"#d6dde6\" xml:space=\"preserve\">"
    for (i = 0; i < n; i++) printf "<text x=\"20\" y=\"%d\" fill=\"%s\">%s</text>\n", 32 + 18 * i, colour(lines[i]), escaped(lines[i])
    print "</g>\n</svg>"
  }'
