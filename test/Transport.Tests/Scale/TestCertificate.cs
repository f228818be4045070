using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>Makes a certificate that nobody trusts.</summary>
internal static class TestCertificate
{
    internal const string Subject = "CN=localhost";

    internal static X509Certificate2 Create()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(Subject, key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));

        // Through PKCS#12, so that the key belongs to the certificate and not to this method.
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }
}
