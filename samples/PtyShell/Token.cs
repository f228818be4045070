using System.Security.Cryptography;
using System.Text;

namespace PtyShell;

/// <summary>
/// A word that only the address has that is printed at the start. An Origin keeps other pages out, but a program that is no browser sends
/// any it likes.
/// </summary>
internal sealed class Token
{
    private readonly string _word = RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>How it is said in an address.</summary>
    internal string Query => $"?token={_word}";

    /// <summary>In a time that does not tell how much of it was right.</summary>
    internal bool IsIn(HttpRequest request) => CryptographicOperations.FixedTimeEquals(
        Encoding.UTF8.GetBytes(request.Query["token"].ToString()), Encoding.UTF8.GetBytes(_word));
}
