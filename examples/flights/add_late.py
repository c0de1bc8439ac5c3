"""Copies the table of flights and adds the column `late`: 1 where the arrival was more than 15
minutes late, 0 where it was not, blank where the delay is not known.

python3 add_late.py flights.csv flights_late.csv
"""

import csv
import sys

with open(sys.argv[1], newline="") as source, open(sys.argv[2], "w", newline="") as target:
    rows = csv.reader(source)
    writer = csv.writer(target, lineterminator="\n")
    header = next(rows)
    delay = header.index("arr_delay")
    writer.writerow(header + ["late"])
    for row in rows:
        writer.writerow(row + ["NA" if row[delay] == "NA" else int(int(row[delay]) > 15)])
