namespace KestrelNetpoll.Transport.Hosting;

/// <summary>Finds what somebody may have meant who has mistyped a name.</summary>
internal static class NearestName
{
    // One letter in so many may be wrong, and two may be in any name.
    private const int LettersPerMistake = 3;
    private const int FewestMistakes = 2;

    /// <summary>The name that needs the fewest changes, or one that begins or ends as this does; null if none is like it.</summary>
    internal static string? Find(string name, IEnumerable<string> names) => names
        .Select(candidate => (Candidate: candidate, Distance: DistanceOf(name, candidate)))
        .Where(pair => IsLike(name, pair.Candidate, pair.Distance))
        .OrderBy(static pair => pair.Distance)
        .Select(static pair => pair.Candidate)
        .FirstOrDefault();

    /// <summary>Is it the other name with two letters wrong at most?</summary>
    internal static bool IsMistyped(string name, string other) => DistanceOf(name, other) <= FewestMistakes;

    private static bool IsLike(string name, string other, int distance) =>
        distance <= Math.Max(FewestMistakes, other.Length / LettersPerMistake)
        || (name.Length > LettersPerMistake && other.Contains(name, StringComparison.OrdinalIgnoreCase))
        || name.Contains(other, StringComparison.OrdinalIgnoreCase);

    /// <summary>How many letters have to be inserted, removed or replaced (Levenshtein), whatever their case.</summary>
    private static int DistanceOf(string from, string to)
    {
        int[] previous = [.. Enumerable.Range(0, to.Length + 1)];
        for (int i = 1; i <= from.Length; i++)
        {
            int[] current = new int[to.Length + 1];
            current[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                bool same = char.ToUpperInvariant(from[i - 1]) == char.ToUpperInvariant(to[j - 1]);
                current[j] = Math.Min(Math.Min(current[j - 1], previous[j]) + 1, previous[j - 1] + (same ? 0 : 1));
            }

            previous = current;
        }

        return previous[to.Length];
    }
}
