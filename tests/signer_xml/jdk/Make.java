import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.spec.SecretKeySpec;
import javax.xml.XMLConstants;
import javax.xml.crypto.*;
import javax.xml.crypto.dom.DOMStructure;
import javax.xml.crypto.dsig.*;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.keyinfo.*;
import javax.xml.crypto.dsig.spec.*;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.*;

/** Writes signed files in every form, canonical form, digest and signature method the JDK knows: Make KEYS OUT. */
public class Make {
    static final XMLSignatureFactory F = XMLSignatureFactory.getInstance("DOM");
    static final String MORE = "http://www.w3.org/2001/04/xmldsig-more#", M07 = "http://www.w3.org/2007/05/xmldsig-more#";
    static final String DS = XMLSignature.XMLNS;
    static final String DOC = "<doc xmlns=\"urn:d\" xmlns:p=\"urn:p\" xml:lang=\"vi\"><!-- ghi chú -->"
        + "<p:part Id=\"t\" p:a=\"1\" b=\"x &amp; &lt;&quot;&#9;&#10;\"><x xmlns=\"\">chữ\r\n &gt; số</x><?pi d?></p:part><note/></doc>";
    static Path keys, out;
    static X509Certificate certificate;
    static int made;

    public static void main(String[] arguments) throws Exception {
        keys = Path.of(arguments[0]);
        out = Path.of(arguments[1]);
        certificate = (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(Files.readAllBytes(keys.resolve("rsa.cer"))));
        PrivateKey rsa = KeyFactory.getInstance("RSA")
            .generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(keys.resolve("rsa.key"))));
        KeyInfoFactory k = F.getKeyInfoFactory();
        KeyInfo x509 = k.newKeyInfo(List.of(k.newX509Data(List.of(certificate))));
        for (String form : List.of("enveloped", "enveloping", "inner", "detached", "pointer", "manifest", "text", "twice")) {
            for (String c14n : List.of(CanonicalizationMethod.INCLUSIVE, CanonicalizationMethod.INCLUSIVE_WITH_COMMENTS,
                CanonicalizationMethod.EXCLUSIVE, CanonicalizationMethod.EXCLUSIVE_WITH_COMMENTS,
                "http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2006/12/xml-c14n11#WithComments", "list")) {
                // the JDK leaves the PrefixList out when it canonicalises octets
                if (form.equals("detached") && c14n.equals("list")) continue;
                write(form, c14n, SignatureMethod.RSA_SHA1.replace("2000/09/xmldsig#rsa-sha1", "2001/04/xmldsig-more#rsa-sha256"),
                    DigestMethod.SHA256, null, rsa, x509);
            }
        }
        for (String digest : List.of(DigestMethod.SHA1, DigestMethod.SHA224, DigestMethod.SHA384, DigestMethod.SHA512,
            DigestMethod.SHA3_224, DigestMethod.SHA3_256, DigestMethod.SHA3_384, DigestMethod.SHA3_512)) {
            write("enveloped", CanonicalizationMethod.EXCLUSIVE, MORE + "rsa-sha256", digest, null, rsa, x509);
        }
        for (String method : List.of(DS + "rsa-sha1", MORE + "rsa-sha224", MORE + "rsa-sha384", MORE + "rsa-sha512",
            M07 + "sha1-rsa-MGF1", M07 + "sha224-rsa-MGF1", M07 + "sha256-rsa-MGF1",
            M07 + "sha384-rsa-MGF1", M07 + "sha512-rsa-MGF1", M07 + "sha3-256-rsa-MGF1")) {
            write("enveloped", CanonicalizationMethod.EXCLUSIVE, method, DigestMethod.SHA256, null, rsa, x509);
        }
        RSAPSSParameterSpec pss = new RSAPSSParameterSpec(
            new PSSParameterSpec("SHA-512", "MGF1", new MGF1ParameterSpec("SHA-256"), 20, 1));
        write("enveloped", CanonicalizationMethod.EXCLUSIVE, M07 + "rsa-pss", DigestMethod.SHA256, pss, rsa, x509);
        for (String curve : List.of("secp256r1", "secp384r1", "secp521r1")) {
            KeyPair pair = pair("EC", new ECGenParameterSpec(curve));
            for (String method : List.of("sha1", "sha224", "sha256", "sha384", "sha512")) {
                write("enveloped", CanonicalizationMethod.INCLUSIVE, MORE + "ecdsa-" + method, DigestMethod.SHA256, null,
                    pair.getPrivate(), k.newKeyInfo(List.of(k.newKeyValue(pair.getPublic()))));
            }
        }
        for (int bits : List.of(1024, 2048)) {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("DSA");
            generator.initialize(bits);
            KeyPair pair = generator.generateKeyPair();
            for (String method : bits == 1024 ? List.of(DS + "dsa-sha1") : List.of("http://www.w3.org/2009/xmldsig11#dsa-sha256")) {
                write("enveloping", CanonicalizationMethod.INCLUSIVE, method, DigestMethod.SHA256, null,
                    pair.getPrivate(), k.newKeyInfo(List.of(k.newKeyValue(pair.getPublic()))));
            }
        }
        Key secret = new SecretKeySpec("mật khẩu dùng chung".getBytes(StandardCharsets.UTF_8), "HMAC");
        for (String method : List.of(DS + "hmac-sha1", MORE + "hmac-sha224", MORE + "hmac-sha256", MORE + "hmac-sha384",
            MORE + "hmac-sha512")) {
            write("enveloped", CanonicalizationMethod.EXCLUSIVE, method, DigestMethod.SHA256, null, secret, null);
        }
        X509IssuerSerial serial = k.newX509IssuerSerial(
            certificate.getIssuerX500Principal().getName(), certificate.getSerialNumber());
        byte[] ski = Arrays.copyOfRange(certificate.getExtensionValue("2.5.29.14"), 4, 24);
        info("issuer-serial", rsa, k.newX509Data(List.of(serial)));
        info("ski", rsa, k.newX509Data(List.of(ski)));
        info("subject", rsa, k.newX509Data(List.of(certificate.getSubjectX500Principal().getName())));
        info("key-name", rsa, k.newKeyName(certificate.getSubjectX500Principal().getName()));
        info("key-value", rsa, k.newKeyValue(certificate.getPublicKey()));
        info("nothing", rsa, null);
    }

    static void info(String name, Key key, XMLStructure content) throws Exception {
        KeyInfoFactory k = F.getKeyInfoFactory();
        write("enveloped", CanonicalizationMethod.EXCLUSIVE, MORE + "rsa-sha256", DigestMethod.SHA256, null, key,
            content == null ? null : k.newKeyInfo(List.of(content)), "info-" + name);
    }

    static KeyPair pair(String kind, AlgorithmParameterSpec spec) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(kind);
        generator.initialize(spec);
        return generator.generateKeyPair();
    }

    static void write(String form, String c14n, String method, String digest, SignatureMethodParameterSpec parameters,
        Key key, KeyInfo info) throws Exception {
        String name = form + "-" + c14n.replaceAll(".*/", "") + "-" + method.replaceAll(".*#", "") + "-"
            + digest.replaceAll(".*#", "") + "-" + made;
        write(form, c14n, method, digest, parameters, key, info, name);
    }

    static void write(String form, String c14n, String method, String digest, SignatureMethodParameterSpec parameters,
        Key key, KeyInfo info, String name) throws Exception {
        made++;
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        String text = form.equals("enveloping") || form.equals("text") || form.equals("detached") ? "<empty/>" : DOC;
        Document document = factory.newDocumentBuilder().parse(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
        CanonicalizationMethod canonical = c14n.equals("list")
            ? F.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, new ExcC14NParameterSpec(List.of("p", "#default")))
            : F.newCanonicalizationMethod(c14n, (C14NMethodParameterSpec) null);
        Transform last = c14n.equals("list")
            ? F.newTransform(CanonicalizationMethod.EXCLUSIVE, new ExcC14NParameterSpec(List.of("p", "#default")))
            : F.newTransform(c14n, (TransformParameterSpec) null);
        DigestMethod hash = F.newDigestMethod(digest, null);
        Transform enveloped = F.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null);
        List<Reference> references = new ArrayList<>();
        List<XMLObject> objects = new ArrayList<>();
        Node parent = document.getDocumentElement();
        switch (form) {
            case "enveloped" -> references.add(F.newReference("", hash, List.of(enveloped, last), null, null));
            case "twice" -> {
                references.add(F.newReference("", hash, List.of(F.newTransform(Transform.XPATH,
                    new XPathFilterParameterSpec("not(ancestor-or-self::dsig:Signature)", Map.of("dsig", DS))), last), null, null));
            }
            case "pointer" -> references.add(F.newReference("#xpointer(/)", hash, List.of(enveloped, last), null, null));
            case "inner" -> {
                mark(document);
                references.add(F.newReference("#t", hash, List.of(last), null, "r1"));
                references.add(F.newReference("#xpointer(id('t'))", hash, List.of(last), null, "r2"));
            }
            case "detached" -> {
                references.add(F.newReference("th%C6%B0%20g%E1%BB%ADi.bin", hash));
                references.add(F.newReference("doc.xml", hash, List.of(last), null, null));
            }
            case "manifest" -> {
                mark(document);
                Manifest manifest = F.newManifest(List.of(F.newReference("#t", hash, List.of(last), null, null)), "m");
                objects.add(F.newXMLObject(List.of(manifest), null, null, null));
                references.add(F.newReference("#m", hash, List.of(last), Manifest.TYPE, null));
            }
            case "text" -> {
                objects.add(F.newXMLObject(List.of(new DOMStructure(document.createTextNode("Q2jhu68gdsOgIHPhu5E="))), "o", null,
                    Transform.BASE64));
                references.add(F.newReference("#o", hash,
                    List.of(F.newTransform(Transform.BASE64, (TransformParameterSpec) null)), null, null));
            }
            default -> {
                Element content = document.createElementNS("urn:d", "content");
                content.setAttributeNS(XMLConstants.XMLNS_ATTRIBUTE_NS_URI, "xmlns", "urn:d");
                content.setTextContent("chữ & số");
                objects.add(F.newXMLObject(List.of(new DOMStructure(content)), "o", null, null));
                Element time = document.createElementNS("urn:t", "time");
                time.setAttributeNS(XMLConstants.XMLNS_ATTRIBUTE_NS_URI, "xmlns", "urn:t");
                time.setTextContent("2026-11-20");
                objects.add(F.newXMLObject(List.of(F.newSignatureProperties(List.of(F.newSignatureProperty(
                    List.of(new DOMStructure(time)), "#s", null)), "sp")), null, null, null));
                references.add(F.newReference("#o", hash, List.of(last), XMLObject.TYPE, null));
                references.add(F.newReference("#sp", hash, List.of(last), SignatureProperties.TYPE, null));
            }
        }
        if (text.equals("<empty/>")) {
            document.removeChild(parent);
            parent = document;
        }
        SignedInfo signed = F.newSignedInfo(canonical, F.newSignatureMethod(method, parameters), references);
        int rounds = form.equals("twice") ? 2 : 1;
        for (int round = 0; round < rounds; round++) {
            DOMSignContext context = new DOMSignContext(key, parent);
            if (made % 2 == 0) context.setDefaultNamespacePrefix("ds");
            if (form.equals("inner") || form.equals("manifest")) {
                context.setIdAttributeNS((Element) document.getElementsByTagNameNS("urn:p", "part").item(0), null, "Id");
            }
            URIDereferencer usual = F.getURIDereferencer();
            context.setURIDereferencer((reference, where) -> {
                if (reference.getURI().endsWith(".bin")) return data("bytes \u1edf ngoài");
                if (reference.getURI().equals("doc.xml")) return data(DOC);
                return usual.dereference(reference, where);
            });
            F.newXMLSignature(signed, info, objects, "s" + round, "v" + round).sign(context);
        }
        try (var stream = Files.newOutputStream(out.resolve(name + ".xml"))) {
            TransformerFactory.newInstance().newTransformer().transform(new DOMSource(document), new StreamResult(stream));
        }
    }

    static void mark(Document document) {
        ((Element) document.getElementsByTagNameNS("urn:p", "part").item(0)).setIdAttribute("Id", true);
    }

    static OctetStreamData data(String text) {
        return new OctetStreamData(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }
}
