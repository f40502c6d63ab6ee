"""Stage 3: bars become a book of cohorts: who would be liquidated where."""
