"""Files on their way: kept, fetched safely, looked at, turned into voice notes, and given an address of their own."""
