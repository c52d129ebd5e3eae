"""Days of KRX that the calendar library misses, in Seoul time.

Rule: a table with sources, no code that decides; on live days the broker's holiday query has the
last word. Checked against exchange_calendars 4.13.2, whose table of entrance examinations ends in
2020; its holidays and its 10:00 openings of each year's first session are right otherwise.
"""

from datetime import date

CLOSED: frozenset[date] = frozenset(
    {
        # Local elections, a public holiday (Regulations on Holidays of Public Offices, art. 2).
        date(2026, 6, 3),
        # Constitution Day, a public holiday again: Public Holidays Act as passed on 2026-01-29,
        # in force three months after promulgation. Later years that fall on a weekend get a
        # substitute day that is not announced yet.
        date(2026, 7, 17),
        date(2028, 7, 17),
        date(2029, 7, 17),
        date(2030, 7, 17),
    }
)

ENTRANCE_EXAM_DAYS: frozenset[date] = frozenset(
    {
        # University entrance examination: KRX opens and closes one hour later, 10:00 to 16:30.
        date(2021, 11, 18),  # KRX notice of 2021-11-04 (Dong-A Ilbo, News1)
        date(2022, 11, 17),  # KRX notice of 2022-11-16 (Kyunghyang)
        date(2023, 11, 16),  # KRX notice of 2023-11-02 (eToday)
        date(2024, 11, 14),  # KRX notice of 2024-10-31 (Kyunghyang)
        date(2025, 11, 13),  # KRX notice of 2025-11-12 (Edaily)
        date(2026, 11, 19),  # date: Ministry of Education, 2024-08-15; hours: as every year
    }
)

SHIFT_MINUTES = 60
"""How much later KRX opens and closes on an entrance examination day (since 1999-11-17)."""
