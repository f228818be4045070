using System.Globalization;

namespace KestrelNetpoll.Perf.Compare.Servers;

/// <summary>Processors by their numbers, as the kernel and <c>taskset</c> write them: <c>0,2-4</c>.</summary>
/// <param name="Text">As it was written.</param>
/// <param name="Numbers">What it means.</param>
internal sealed record ProcessorList(string Text, IReadOnlySet<int> Numbers)
{
    private const int MostProcessors = 8192;

    /// <exception cref="FormatException">The text is no such list; the message is for the user.</exception>
    internal static ProcessorList Parse(string text)
    {
        var numbers = new HashSet<int>();
        foreach (string range in text.Split(','))
        {
            string[] ends = range.Split('-');
            if (ends.Length > 2 || !TryParse(ends[0], out int first) || !TryParse(ends[^1], out int last) || last < first)
            {
                throw new FormatException($"'{text}' is no list of processors like 0,2-3.");
            }

            numbers.UnionWith(Enumerable.Range(first, last - first + 1));
        }

        return new ProcessorList(text, numbers);
    }

    internal bool Overlaps(ProcessorList other) => Numbers.Overlaps(other.Numbers);

    private static bool TryParse(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < MostProcessors;
}
