using System.Globalization;
using System.Text;

namespace KestrelNetpoll.Samples;

/// <summary>What may be said on the command line of a sample: a mistyped option would otherwise be passed over in silence.</summary>
internal sealed class CommandLine(string program, params Option[] options)
{
    private readonly Dictionary<string, string> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<string> _configuration = [];

    /// <summary>The arguments for a web application: all but those without a value, which it would not understand.</summary>
    internal string[] Configuration => [.. _configuration];

    internal string Help
    {
        get
        {
            (string Left, string Meaning)[] rows =
            [
                .. options.Select(static option => ($"--{option.Name}{(option.Value is null ? "" : $" {option.Value}")}", option.Meaning)),
                ("--help", "this text"),
            ];
            int width = rows.Max(static row => row.Left.Length);
            var text = new StringBuilder($"Usage: {program} [options]");
            foreach ((string left, string meaning) in rows)
            {
                text.Append("\n  ").Append(left.PadRight(width)).Append("  ").Append(meaning);
            }

            return text.ToString();
        }
    }

    /// <summary>The value of an option; null: it was not given.</summary>
    internal string? this[string name] => _values.GetValueOrDefault(name);

    internal bool Has(string name) => _values.ContainsKey(name);

    internal double Number(string name, double otherwise) =>
        this[name] is { } value ? double.Parse(value, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>Reads the arguments, and says what is wrong with them, or what they ask for.</summary>
    /// <returns>What the program ends with; null: it goes on.</returns>
    internal int? Read(string[] arguments)
    {
        if (arguments.Any(static argument => argument is "--help" or "-h" or "-?"))
        {
            Console.WriteLine(Help);
            return 0;
        }

        if (FindMistake(arguments) is not { } mistake)
        {
            return null;
        }

        Console.Error.WriteLine(mistake);
        Console.Error.WriteLine(Help);
        return 2;
    }

    /// <summary>What is wrong; null if nothing is.</summary>
    internal string? FindMistake(string[] arguments)
    {
        for (int i = 0; i < arguments.Length; i++)
        {
            string[] parts = arguments[i].Split('=', 2);
            if (!parts[0].StartsWith("--", StringComparison.Ordinal))
            {
                return $"'{arguments[i]}' is no option.";
            }

            string name = parts[0][2..];
            if (options.FirstOrDefault(option => option.IsCalled(name)) is not { } option)
            {
                return $"There is no option {parts[0]}.";
            }

            if (option.Value is null)
            {
                if (parts.Length > 1)
                {
                    return $"{parts[0]} has no value.";
                }

                _values[name] = "";
                continue;
            }

            // The value follows, if it is not in the same argument.
            if (parts.Length == 1 && ++i == arguments.Length)
            {
                return $"{parts[0]} needs a value.";
            }

            string value = parts.Length == 1 ? arguments[i] : parts[1];
            if (FindMistake(option, value) is { } mistake)
            {
                return $"{parts[0]} is '{value}'; it must be {mistake}.";
            }

            _values[name] = value;
            _configuration.AddRange([parts[0], value]);
        }

        return null;
    }

    private static string? FindMistake(Option option, string value)
    {
        if (option.IsNumber)
        {
            bool isOne = double.TryParse(value, CultureInfo.InvariantCulture, out double number) && number >= 0 && number <= option.Maximum;
            return isOne ? null : string.Create(CultureInfo.InvariantCulture, $"a number from 0 to {option.Maximum:N0}");
        }

        if (option.IsAddress)
        {
            bool isOne = (option.IsList ? value.Split(';') : [value]).All(IsAddress);
            string several = option.IsList ? ", or several, with semicolons between" : "";
            return isOne ? null : $"an address, such as http://127.0.0.1:8080{several}";
        }

        string[] choices = option.Value!.Contains('|') ? option.Value.Split('|') : [value];
        return choices.Contains(value) ? null : string.Join(" or ", choices);
    }

    // A name and a port are a well-formed address as well: its scheme is the name.
    private static bool IsAddress(string value) =>
        Uri.TryCreate(value, UriKind.Absolute, out Uri? address) && address.Scheme is ("http" or "https");
}
